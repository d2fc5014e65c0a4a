import {
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { createCli } from '../../scripts/fixtures.ts'
import { runStep, type Step } from '../../scripts/step.ts'
import {
  fillers,
  oldImage,
  onlyOnDocker,
  resource,
  startTestEngine,
  useEngine
} from './harness.ts'

// What other jobs do on the same engine while the step is at work.

const { docker, engine, load, build, step, contents } = useEngine()
// Podman has no builder that bears removals beside it, and no safe removal of named volumes.
const it = onlyOnDocker(
  'builder that bears removals beside it, and no safe removal of named volumes'
)
const everything = {
  'keep-last': '0',
  until: '0s',
  'protected-images': 'busybox',
  'include-build-cache': 'false'
}
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'world-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

/** A docker that sleeps before it removes images, so that others can come in between; the first time it leaves a mark. */
async function slowDocker(name: string, hook = ''): Promise<string> {
  const path = join(folder, name)
  const slow = `"image rm") : >${folder}/removing-${name}; sleep 0.5 ;;`
  await writeFile(
    path,
    `#!/bin/sh\ndocker=${engine().docker}\n${hook}\ncase "$1 $2" in ${slow} esac\nexec $docker "$@"\n`,
    { mode: 0o755 }
  )
  return path
}

/** Waits until the runs with these dockers have listed everything, and remove. */
async function untilRemoving(...names: string[]): Promise<void> {
  for (let attempt = 0; attempt < 3_000; attempt += 1) {
    const left = await readdir(folder)
    if (names.every((name) => left.includes(`removing-${name}`))) return
    await sleep(50)
  }
  throw new Error('the runs did not begin to remove')
}

const ids = async (...references: string[]) =>
  (
    await docker('image', 'inspect', '--format', '{{.Id}}', ...references)
  ).split('\n')

test('nothing that another process renews while 200 images are removed is lost, and no step fails', async () => {
  const names = Array.from({ length: 200 }, (_, index) => `app-${index}`)
  await load(names.map((name) => oldImage(name)))
  const before = new Map(
    (await ids(...names.map((name) => `${name}:1`))).map((id, index) => [
      names[index] ?? '',
      id
    ])
  )
  let done: Step | undefined
  const running = Promise.all([
    step({
      ...everything,
      concurrency: '1',
      docker: await slowDocker('first')
    }).then((ended) => (done = ended)),
    step({
      ...everything,
      concurrency: '1',
      docker: await slowDocker('second')
    })
  ])

  await untilRemoving('first', 'second')

  // Again and again: a new tag, a tag on another image, a container. What succeeds must last.
  const tagged: [string, string][] = []
  const containers: string[] = []
  const moved: string[] = []
  for (let index = 199; index >= 0 && done === undefined; index -= 1) {
    const name = `app-${index}`
    const attempts = {
      tag: async () => {
        await docker('tag', `${name}:1`, `renewed-${index}:1`)
        tagged.push([`renewed-${index}:1`, before.get(name) ?? ''])
      },
      container: async () => {
        await docker(
          'create',
          '--network',
          'none',
          '--name',
          name,
          `${name}:1`,
          'true'
        )
        // The engine does not refuse to remove an image of which a container is only just being made.
        await docker('image', 'inspect', `${name}:1`)
        containers.push(name)
      },
      move: async () => {
        await docker('tag', 'busybox:1', `${name}:1`)
        moved.push(`${name}:1`)
      }
    }
    const kind = (['tag', 'container', 'move'] as const)[index % 3] ?? 'tag'
    // The image may be gone already: then there is nothing to renew.
    await attempts[kind]().catch(() => undefined)
  }
  const ended = await running

  for (const { exitCode, stdout, report } of ended)
    expect({
      exitCode,
      errors: stdout.split('\n').filter((line) => line.startsWith('::error')),
      failed: report?.totals.failed
    }).toEqual({ exitCode: 0, errors: [], failed: 0 })
  // How many it is in time for, the load of the machine decides.
  expect(tagged.length + containers.length).toBeGreaterThan(0)
  for (const [reference, id] of tagged)
    expect(await ids(reference)).toEqual([id])
  const [busybox] = await ids('busybox:1')
  for (const reference of moved) expect(await ids(reference)).toEqual([busybox])
  for (const name of containers) {
    const image = await docker(
      'container',
      'inspect',
      '--format',
      '{{.Image}}',
      name
    )
    expect(await ids(image)).toEqual([image])
  }
})

test('a listing goes on while other processes remove images', async () => {
  const names = Array.from({ length: 200 }, (_, index) => `app-${index}`)
  await load(names.map((name) => oldImage(name)))
  const tags = names.map((name) => `${name}:1`)
  const removals = [tags.slice(0, 100), tags.slice(100)].map((some) =>
    docker('image', 'rm', ...some)
  )

  const runs = await Promise.all(
    removals.map(() => step({ ...everything, 'dry-run': 'true' }))
  )

  await Promise.all(removals)
  for (const done of runs) {
    expect(done).toMatchObject({ exitCode: 0, stderr: '' })
    expect(resource(done, 'busybox:1')).toMatchObject({ action: 'keep' })
  }
})

test('where an image that is just removed makes the listing before a batch fail, the images are inspected', async () => {
  await load([oldImage('app')])
  const words =
    'Error response from daemon: NotFound: content digest: not found'
  // The listing is asked for where the watch is known to work: once it has told of something.
  const hook = `case "$*" in
    "image inspect "*) $docker volume create other >/dev/null ;;
    "image ls "*reference=*) echo ${words} >&2; exit 1 ;; esac`
  const done = await step({
    ...everything,
    docker: await slowDocker('docker', hook)
  })
  expect(done.exitCode).toBe(0)
  expect(resource(done, 'app:1').outcome).toBe('removed')
})

it('builds that go on all the while find what they built', async () => {
  await load(Array.from({ length: 60 }, (_, index) => oldImage(`app-${index}`)))
  let done: Step | undefined
  const running = step({
    ...everything,
    concurrency: '1',
    docker: await slowDocker('docker')
  }).then((ended) => (done = ended))
  await untilRemoving('docker')
  const built: [string, string][] = []
  for (let index = 0; done === undefined; index += 1) {
    const tag = `built-${index}:1`
    // With BuildKit, of whose builds Docker 20.10 makes no event, and with the classic builder.
    const id = await build(`FROM busybox:1\nLABEL build=${index}\n`, {
      tag,
      buildKit: index % 2 === 0
    })
    built.push([tag, id])
  }
  expect((await running).exitCode).toBe(0)
  expect(built.length).toBeGreaterThan(0)
  for (const [tag, id] of built) expect(await ids(tag)).toEqual([id])
})

test('a planned image that is built again, or used by a container that is gone, stays: the events tell', async () => {
  await load([oldImage('used'), oldImage('other')])
  // After the listing, and before the first batch is looked at again.
  const hook = `case "$1 $2" in "image history"|"container ls") echo >>${folder}/calls
    [ "$(wc -l <${folder}/calls)" = 2 ] && $docker create --network none --name short used:1 true >/dev/null && $docker container rm short >/dev/null; sleep 0.3 ;; esac`

  const done = await step({
    ...everything,
    docker: await slowDocker('docker', hook)
  })

  expect(resource(done, 'used:1')).toMatchObject({
    outcome: 'kept',
    reason: 'changed'
  })
  expect(resource(done, 'used:1').detail).toBe(
    'meanwhile it was last used by a container'
  )
  expect(resource(done, 'other:1').outcome).toBe('removed')
})

test('without the stream of events the listing alone goes on, and the log says so', async () => {
  await load([oldImage('app')])
  const done = await step({
    ...everything,
    docker: await slowDocker(
      'docker',
      'case "$*" in "events "*"--until"*) ;; events*) exit 1 ;; esac'
    )
  })
  expect(done.exitCode).toBe(0)
  expect(done.stdout).toContain('events broke off')
  expect((await contents()).references).toEqual(['busybox:1'])
})

test('without the event log nothing goes: what was loaded a moment ago would pass for old', async () => {
  await load([oldImage('app')])
  const hook = 'case "$*" in "events "*"--until"*) exit 1 ;; esac'

  const done = await step({
    ...everything,
    until: '24h',
    docker: await slowDocker('docker', hook)
  })

  expect(done.exitCode).toBe(1)
  expect(done.stdout).toMatch(/^::error::docker events failed/m)
  expect((await contents()).references).toEqual(['app:1', 'busybox:1'])
})

it('a named volume that a container unmounted a minute ago stays, however old; an idle one that was watched goes', async () => {
  await docker('volume', 'create', 'used')
  await docker('volume', 'create', 'idle')
  // Their age cannot be made: what the engine says of it is written a day back on its way, and so is the ledger.
  const yesterday = new Date(Date.now() - 25 * 3_600_000).toISOString()
  const path = join(folder, 'docker')
  await writeFile(
    path,
    `#!/bin/sh\nif [ "$1 $2" = "volume inspect" ]; then ${engine().docker} "$@" | sed 's/"CreatedAt": "[^"]*"/"CreatedAt": "${yesterday}"/'; else exec ${engine().docker} "$@"; fi\n`,
    { mode: 0o755 }
  )
  const state = join(folder, 'state')
  const inputs = {
    ...everything,
    until: '24h',
    'include-volumes': 'all',
    'state-dir': state,
    docker: path
  }
  await step(inputs)
  // The containerd store has a second file, of the images.
  const files = await readdir(state)
  const name = files.find((file) => !file.endsWith('-images.json')) ?? ''
  const ledger = JSON.parse(await readFile(join(state, name), 'utf8')) as {
    entries: object[]
  }
  const dayBack = {
    since: Date.parse(yesterday),
    usedAt: Date.parse(yesterday)
  }
  const entries = ledger.entries.map((entry) => ({ ...entry, ...dayBack }))
  await writeFile(join(state, name), JSON.stringify({ ...ledger, entries }))
  // The log knows that they were made a moment ago: it has room for 256 events.
  await load(fillers())
  await docker(
    'run',
    '--rm',
    '--network',
    'none',
    '--volume',
    'used:/data',
    'busybox:1',
    'true'
  )

  const done = await step(inputs)

  expect(resource(done, 'used')).toMatchObject({
    action: 'keep',
    reason: 'recent'
  })
  expect(resource(done, 'idle')).toMatchObject({ outcome: 'removed' })
  expect((await contents()).volumes).toEqual(['used'])
})

it('two engines on one machine have ledgers of their own, also with the same ID', async () => {
  const other = await startTestEngine()
  try {
    const state = join(folder, 'state')
    await createCli(other)('volume', 'create', 'data')
    await docker('volume', 'create', 'data')
    const inputs = {
      'dry-run': 'true',
      'include-volumes': 'all',
      until: '1s',
      'state-dir': state
    }
    await step(inputs)
    await sleep(1_500)
    await symlink(other.docker, join(folder, 'docker'))
    const done = await runStep(inputs, {
      DOCKER_HOST: other.host,
      PATH: `${folder}:${process.env['PATH'] ?? ''}`
    })
    expect(dirname(other.docker)).not.toBe('')
    // On the first engine it has been watched; on this one it has not.
    expect(resource(done, 'data')).toMatchObject({
      action: 'keep',
      reason: 'unknown-age'
    })
    expect(resource(await step(inputs), 'data')).toMatchObject({
      action: 'keep',
      reason: 'recent'
    })
  } finally {
    await other.stop()
  }
})
