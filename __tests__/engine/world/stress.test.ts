import { createInterface } from 'node:readline'
import { expect } from '@jest/globals'
import { execa } from 'execa'
import type { Step } from '../../../scripts/engines/step.ts'
import { useEngine } from '../harness/engine.ts'
import { useRegistry } from '../harness/registry.ts'
import { containerd, onlyOnDocker } from '../harness/target.ts'
import { everything, oldImage, oldImages } from '../harness/things.ts'

const tests = useEngine()
const { api, load, step, environment, dockerThat } = tests
const { publish, pull } = useRegistry(tests)
const it = onlyOnDocker('event stream that is trusted')

/** What another job did to an image, and when its command had ended. */
type Renewal = { id: string; how: string; endedAt: number }

type Image = { Id: string; RepoTags: string[] | null }

const listImages = () => api().get<Image[]>('/images/json')

/**
 * Milliseconds for which the engine may have an image in hand when the stream speaks of it. It has eight at once here, on
 * a busy machine. `npm run window` measures this window; batches that nobody guards take up to 2 s.
 */
const inHand = 1_000

/** Collects when the engine deleted each image, and calls a function each time. */
async function watchDeletions(onDeletion: () => void) {
  const deletedAt = new Map<string, number>()
  const over = new AbortController()
  const stream = execa(
    'docker',
    [
      ...['events', '--filter', 'event=delete'],
      ...['--format', '{{.Actor.ID}} {{.TimeNano}}']
    ],
    {
      env: await environment(),
      buffer: false,
      reject: false,
      cancelSignal: over.signal
    }
  )
  createInterface({ input: stream.stdout }).on('line', (line) => {
    const [id = '', time] = line.split(' ')
    deletedAt.set(id, Number(time) / 1e6)
    onDeletion()
  })
  const end = async () => {
    over.abort()
    await stream
  }
  return { deletedAt, end }
}

/** Both runs have listed everything before the first removal, so that any renewal comes after their listings. */
const together = `case "$1 $2" in "image rm")
  mark "$RUN"; for run in first second; do
    while [ ! -e "$(dirname "$0")/$run" ]; do sleep 0.02; done; done ;; esac`

/** Renews images by the engine's API: a CLI would take the processor from the runs. Collects what succeeds. */
function createRenewals(
  images: readonly Image[],
  published: readonly string[]
) {
  const idOfTag = new Map(
    images.flatMap(({ Id, RepoTags }) =>
      (RepoTags ?? []).map((tag) => [tag, Id] as const)
    )
  )
  const names = [...idOfTag.keys()].filter((tag) => tag !== 'busybox:1')
  const renewals: Renewal[] = []
  const running: Promise<void>[] = []
  const attempt = async (reference: string, path: string, body?: object) => {
    const id = idOfTag.get(reference) ?? ''
    try {
      await api().post(path, body)
      renewals.push({ id, how: path, endedAt: Date.now() })
    } catch {
      // The image is gone already.
    }
  }
  const any = () => names[Math.floor(Math.random() * names.length)] ?? ''
  const nameAndTag = (tag: string) => [tag.slice(0, -2), tag.slice(-1)] as const
  const renew = (index: number) => {
    for (const tag of [any(), any()]) {
      const [repo, last] = nameAndTag(tag)
      running.push(attempt(tag, `/images/${tag}/tag?repo=${repo}&tag=${last}`))
    }
    const pulled = published[index]
    if (pulled !== undefined) {
      const [repo, last] = nameAndTag(pulled)
      running.push(
        attempt(pulled, `/images/create?fromImage=${repo}&tag=${last}`)
      )
    }
    if (index < 30) {
      const Image = any()
      const HostConfig = { NetworkMode: 'none' }
      running.push(
        attempt(Image, '/containers/create', {
          Image,
          HostConfig,
          Cmd: ['true']
        })
      )
    }
  }
  return { renewals, running, renew }
}

it('nothing renewed while many images go is lost, unless the engine had that image in hand', async () => {
  const published = (
    await publish(
      Array.from({ length: 12 }, (_, index) => oldImage(`pulled-${index}`))
    )
  ).map(({ tag }) => tag)
  await load(oldImages(containerd ? 50 : 170))
  await pull(published)
  const images = await listImages()
  const { renewals, running, renew } = createRenewals(images, published)
  // As many renewals as the removal leaves time for.
  let deletions = 0
  const { deletedAt, end } = await watchDeletions(() => {
    renew(deletions++)
  })
  const command = await dockerThat(together)
  const begin = (RUN: string): Promise<Step> =>
    step({ ...everything, docker: command }, { RUN })

  const runs = await Promise.all(['first', 'second'].map(begin))
  await Promise.all(running)
  await end()

  for (const { exitCode, outputs } of runs)
    expect({ exitCode, failed: outputs['failed'] }).toEqual({
      exitCode: 0,
      failed: '0'
    })
  const left = new Set((await listImages()).map(({ Id }) => Id))
  const lost = renewals.filter(({ id }) => !left.has(id))
  const early = lost.filter(
    ({ id, endedAt }) => !((deletedAt.get(id) ?? Infinity) - endedAt <= inHand)
  )
  // Before Docker 23 the engine is looked at before each batch, which takes longer than that.
  const { Version } = await api().get<{ Version: string }>('/version')
  if (Number.parseInt(Version, 10) >= 23) expect(early).toEqual([])
  expect(renewals.length).toBeGreaterThan(0)
  expect(left.size).toBeLessThan(images.length)
})
