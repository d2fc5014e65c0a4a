import { expect, test } from '@jest/globals'
import type { Step } from '../../../scripts/engines/step.ts'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { onlyOnDocker, store } from '../harness/target.ts'
import { everything, idOf, oldImage, oldImages } from '../harness/things.ts'

const tests = useEngine()
const { docker, load, build, create, step } = tests
const { dockerThat, untilMarked, go } = tests
const it = onlyOnDocker('builder that tolerates parallel removals')

/** A hook that slows down most removals, so that others can interfere. RUN is the mark of the run. */
const slowly =
  'case "$1 $2" in "image rm") mark "$RUN"; [ "$(count "$RUN-calls")" -gt 6 ] || sleep 0.5 ;; esac'

const ids = async (...references: string[]) =>
  (
    await docker('image', 'inspect', '--format', '{{.Id}}', ...references)
  ).split('\n')

test('nothing that another process renews during the removal of 40 images is lost, and no step fails', async () => {
  const names = oldImages(40).flatMap(({ references }) => references)
  await load(oldImages(40))
  const before = await ids(...names)
  const busybox = await idOf(docker, 'busybox:1')
  const command = await dockerThat(slowly)
  let done: Step | undefined
  const begin = async (RUN: string) => {
    const inputs = { ...everything, concurrency: '1', docker: command }
    done = await step(inputs, { RUN })
    return done
  }
  const running = Promise.all(['first', 'second'].map(begin))

  await untilMarked('first', 'second')

  // In turn: a new tag, a container, a moved tag. Whatever succeeds must last.
  const renewed = new Map<string, string>()
  const moved = new Map<string, string>()
  const used = new Map<string, string>()
  const renewals = [
    async (name: string, id: string) => {
      await docker('tag', name, `renewed-${name}`)
      renewed.set(`renewed-${name}`, id)
    },
    async (name: string, id: string) => {
      await create(name.replace(':', '-'), name, 'true')
      // The engine allows removing an image while a container is being created from it.
      await docker('image', 'inspect', name)
      used.set(id, id)
    },
    async (name: string) => {
      await docker('tag', 'busybox:1', name)
      moved.set(name, busybox)
    }
  ]
  for (let index = 39; index >= 0 && done === undefined; index -= 1)
    // The image may be removed already; then there is nothing to renew.
    await renewals[index % 3]?.(names[index] ?? '', before[index] ?? '').catch(
      () => undefined
    )
  const ended = await running

  for (const { exitCode, stdout, report } of ended)
    expect({
      exitCode,
      errors: stdout.split('\n').filter((line) => line.startsWith('::error')),
      failed: report?.totals.failed
    }).toEqual({ exitCode: 0, errors: [], failed: 0 })
  // How many succeed depends on the machine's load.
  expect(renewed.size + used.size).toBeGreaterThan(0)
  const lasting = [...renewed, ...moved, ...used]
  expect(await ids(...lasting.map(([reference]) => reference))).toEqual(
    lasting.map(([, id]) => id)
  )
})

test('a listing succeeds while other processes remove images', async () => {
  const images = oldImages(store === 'overlay2' ? 100 : 40)
  await load(images)
  const tags = images.flatMap(({ references }) => references)
  const command = await dockerThat(
    'case "$1 $2" in "$CALL") mark "$2"; pause ;; esac'
  )
  const inputs = { ...everything, 'dry-run': 'true', docker: command }
  const runs = ['image ls', 'image inspect'].map((CALL) =>
    step(inputs, { CALL })
  )

  await untilMarked('ls', 'inspect')
  const half = tags.length / 2
  const removals = [tags.slice(0, half), tags.slice(half)].map((some) =>
    docker('image', 'rm', ...some)
  )
  await go()

  await Promise.all(removals)
  for (const done of await Promise.all(runs)) {
    expect(done).toMatchObject({ exitCode: 0, stderr: '' })
    expect(resource(done, 'busybox:1')).toMatchObject({ action: 'keep' })
  }
})

test('if a concurrent removal makes the listing before a batch fail, the images are inspected', async () => {
  await load([oldImage('app')])
  const words =
    'Error response from daemon: NotFound: content digest: not found'
  // The listing is used only once the event stream is known to work: after its first event.
  const command = await dockerThat(`case "$*" in
    "image inspect "*) $docker volume create other >/dev/null ;;
    "image ls "*reference=*) echo ${words} >&2; exit 1 ;; esac`)

  const done = await step({ ...everything, docker: command })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'app:1').outcome).toBe('removed')
})

it('builds during the removal keep their images', async () => {
  await load(oldImages(40))
  const command = await dockerThat(slowly)
  let done: Step | undefined
  const inputs = { ...everything, concurrency: '1', docker: command }
  const running = step(inputs, { RUN: 'run' }).then((ended) => (done = ended))
  await untilMarked('run')
  const built = new Map<string, string>()
  for (let index = 0; done === undefined; index += 1) {
    const tag = `built-${index}:1`
    // Alternate the classic builder and BuildKit, whose builds Docker 20.10 does not log.
    const id = await build(`FROM busybox:1\nLABEL build=${index}\n`, {
      tag,
      buildKit: index % 2 === 0
    })
    built.set(tag, id)
  }
  expect((await running).exitCode).toBe(0)
  expect(built.size).toBeGreaterThan(0)
  expect(await ids(...built.keys())).toEqual([...built.values()])
})

test('a planned image used by a container that is already gone is kept, because of its events', async () => {
  await load([oldImage('used'), oldImage('other')])
  const command = await dockerThat(`before_removal "$@" && {
    $docker create --network none --name short used:1 true; $docker container rm short; } >/dev/null && sleep 0.3`)

  const done = await step({ ...everything, docker: command })

  expect(resource(done, 'used:1')).toMatchObject({
    outcome: 'kept',
    reason: 'changed',
    detail: 'used by a container since the inventory was taken'
  })
  expect(resource(done, 'other:1').outcome).toBe('removed')
})
