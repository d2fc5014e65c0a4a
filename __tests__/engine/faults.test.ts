import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { exists } from '../../scripts/packages.ts'
import { withoutCapabilities, type Step } from '../../scripts/step.ts'
import { dockerWith, oldImage, resource, useEngine } from './harness.ts'

// What breaks under the step: the engine, the CLI, the disk, the runner's files. Each has a clear end.

const { docker, engine, load, step, contents } = useEngine({ dataSize: '96m' })
const everything = {
  'keep-last': '0',
  until: '0s',
  'protected-images': 'busybox',
  'include-build-cache': 'false'
}
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faults-'))
})
afterEach(async () => {
  await chmod(folder, 0o755)
  await rm(folder, { recursive: true })
})

const dockerThat = (hooks: string) => dockerWith(engine(), folder, hooks)

/** Waits until the docker of a test has come to its `pause`. */
async function untilPaused(): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt += 1) {
    if (await exists(join(folder, 'paused'))) return
    await sleep(50)
  }
  throw new Error('the step did not come that far')
}

const go = () => writeFile(join(folder, 'go'), '')

const images = (count: number) =>
  Array.from({ length: count }, (_, index) => oldImage(`app-${index}`))

/** How many resources of a report ended in some way. */
function outcomes({ report }: Step): Record<string, number> {
  const planned = report?.resources.filter(({ action }) => action !== 'keep')
  const counted = Map.groupBy(planned ?? [], ({ outcome }) => outcome)
  return Object.fromEntries(
    [...counted].map(([outcome, { length }]) => [outcome, length])
  )
}

/** What every step that fails leaves: an error in the log, the summary, no stack trace and no process. */
function expectCleanFailure(done: Step, message: RegExp): void {
  expect(done.exitCode).toBe(1)
  expect(done.stdout).toMatch(/^::error::/m)
  expect(done.stdout).toMatch(message)
  expect(done.summary).toMatch(message)
  expect(done.stdout).not.toMatch(/^\s+at .+:\d+:\d+/m)
  expect(done.processesLeft).toEqual([])
}

const pauseBeforeSecondBatch = `case "$1 $2" in "image rm") [ "$(count rm)" = 2 ] && pause ;; esac`

test.each([
  ['between two calls', () => engine().signal('KILL').then(go)],
  [
    'during a call',
    async () => {
      await engine().signal('STOP')
      await go()
      await sleep(500)
      await engine().signal('KILL')
    }
  ]
])('an engine that dies %s, and is back for the next run', async (_, die) => {
  await load(images(20))
  const command = await dockerThat(pauseBeforeSecondBatch)
  const running = step({ ...everything, concurrency: '1', docker: command })
  await untilPaused()

  await die()
  const done = await running
  await engine().restart()

  expectCleanFailure(done, /engine failed during the removal/i)
  expect(done.stdout).toMatch(/No Docker engine answers/)
  const { removed = 0, failed = 0, kept = 0 } = outcomes(done)
  // The first batch has 8; of the second nobody knows.
  expect(removed).toBe(8)
  expect(failed).toBeGreaterThan(0)
  expect(removed + failed + kept).toBe(20)
  expect(done.outputs).toMatchObject({
    'removed-images': '8',
    failed: String(failed)
  })
  expect((await contents()).references).toHaveLength(13)
  for (const one of done.report?.resources ?? [])
    if (one.outcome === 'kept' && one.action === 'remove')
      expect(one).toMatchObject({
        reason: 'budget',
        detail: 'not done: the engine failed'
      })

  expect(await step(everything)).toMatchObject({
    exitCode: 0,
    outputs: { 'removed-images': '12' }
  })
  expect((await contents()).references).toEqual(['busybox:1'])
})

test('an engine that is restarted between two calls is as good as another', async () => {
  await load(images(20))
  const command = await dockerThat(pauseBeforeSecondBatch)
  const running = step({ ...everything, concurrency: '1', docker: command })
  await untilPaused()

  await engine().restart()
  await go()
  const done = await running

  expect(done.exitCode).toBe(0)
  expect(done.stdout).toContain('events broke off')
  expect(done.outputs['removed-images']).toBe('20')
  expect((await contents()).references).toEqual(['busybox:1'])
})

test('an engine that stops answering during the listing is given up when the time is up', async () => {
  await load(images(1))
  const command = await dockerThat('case "$1 $2" in "image ls") pause ;; esac')
  const running = step({ ...everything, timeout: '6s', docker: command })
  await untilPaused()

  await engine().signal('STOP')
  await go()
  const done = await running
  await engine().signal('CONT')

  expectCleanFailure(done, /Docker did not answer: ".*" was ended when/)
  expect(done.summary).toContain('Nothing was removed')
  expect((await contents()).references).toEqual(['app-0:1', 'busybox:1'])
})

test('an engine that stops answering during a removal is given up when the time is up', async () => {
  await load(images(20))
  const command = await dockerThat(pauseBeforeSecondBatch)
  const running = step({
    ...everything,
    concurrency: '1',
    timeout: '6s',
    docker: command
  })
  await untilPaused()

  await engine().signal('STOP')
  await go()
  const done = await running
  await engine().signal('CONT')

  expectCleanFailure(done, /Docker did not answer: ".* image rm /)
  const { removed = 0, failed = 0, kept = 0 } = outcomes(done)
  expect(removed).toBe(8)
  expect(failed).toBeGreaterThan(0)
  expect(removed + failed + kept).toBe(20)
  const failure = done.report?.resources.find(
    ({ outcome }) => outcome === 'failed'
  )
  expect(failure?.detail).toContain('it may be gone')
  expect((await step(everything)).exitCode).toBe(0)
  expect((await contents()).references).toEqual(['busybox:1'])
})

test.each([
  ['the listing', '"container ls"'],
  ['a removal', '"image rm"']
])(
  'a job that is cancelled while %s hangs has its summary within 5 s',
  async (_, call) => {
    await load(images(20))
    const hang = `trap '' INT TERM; : >${folder}/paused; sleep 300`
    const command = await dockerThat(`case "$1 $2" in ${call}) ${hang} ;; esac`)
    const cancel = new AbortController()
    const running = step({ ...everything, docker: command }, undefined, {
      cancel: cancel.signal
    })
    await untilPaused()

    const start = Date.now()
    cancel.abort()
    const done = await running

    expect(Date.now() - start).toBeLessThan(5_000)
    expectCleanFailure(done, /The run was cancelled/)
    expect((await contents()).references).toHaveLength(21)
  }
)

/** All calls that the plan rests on. */
const listings = [
  'info',
  'context inspect',
  'events',
  'container ls',
  'container inspect',
  'image ls',
  'image inspect',
  'network ls',
  'network inspect',
  'volume inspect'
]

test.each([
  // A part of an ID is an ID as well: it means the same thing, or nothing that could be removed.
  [
    'half of the answer',
    'out=$($docker "$@"); printf %s "$out" | head -c $(( ${#out} / 2 )); exit 0',
    listings.filter((call) => !call.endsWith(' ls') || call === 'image ls'),
    /The output of docker CALL could not be read/
  ],
  [
    'a warning in the answer',
    'echo "WARNING: no swap limit support"; exec $docker "$@"',
    listings,
    /The output of docker CALL could not be read.*WARNING/s
  ],
  [
    'nothing, and was killed',
    'exit 137',
    listings.filter((call) => call !== 'context inspect'),
    /docker CALL failed with exit code 137/
  ],
  [
    '50 MB of something else',
    `head -c 50000000 /dev/zero | tr '\\0' x; exit 0`,
    ['info', 'image ls', 'container inspect'],
    /The output of docker CALL could not be read/
  ],
  [
    '50 MB of errors',
    `head -c 50000000 /dev/zero | tr '\\0' x >&2; exit 1`,
    ['info', 'image ls', 'container inspect'],
    /docker CALL failed with exit code 1/
  ],
  [
    'errors without an end',
    'exec yes WARNING >&2',
    ['image ls'],
    /docker CALL .*printed more than can be read/
  ],
  [
    'nothing, and hangs',
    `trap '' TERM; sleep 300`,
    ['info', 'image ls'],
    /Docker did not answer: ".*CALL/
  ]
])(
  'a docker that prints %s: a clear error, and no removal',
  async (_, fault, calls, message) => {
    await load([oldImage('app')])
    await docker('network', 'create', 'net')
    await docker('volume', 'create', 'data')
    await docker(
      ...['create', '--name', 'web', '--network', 'net'],
      ...['--volume', 'data:/data', 'app:1', 'true']
    )
    const before = await contents()
    for (const call of calls) {
      const [first = '', second = ''] = call.split(' ')
      const pattern = second ? `${first} ${second}` : `${first} --`
      const command = await dockerThat(
        `case "$1 $2" in "${pattern}"*) ${fault} ;; esac`
      )

      const done = await step({
        ...everything,
        'include-volumes': 'all',
        timeout: fault.includes('sleep') ? '3s' : '5m',
        docker: command
      })

      expectCleanFailure(
        done,
        new RegExp(message.source.replace('CALL', call), message.flags)
      )
      expect(done.stdout.length).toBeLessThan(50_000)
      expect(await contents()).toEqual(before)
    }
  }
)

test.each([
  ['nothing, and was killed', 'exit 137', /docker image rm .*exit code 137/],
  [
    '50 MB of errors',
    `head -c 50000000 /dev/zero | tr '\\0' x >&2; exit 1`,
    /xxxx/
  ]
])(
  'a removal that prints %s has failed, and all others are tried',
  async (_, fault, message) => {
    await load([oldImage('app')])
    await docker('network', 'create', 'net')
    const command = await dockerThat(
      `case "$1 $2" in "image rm") ${fault} ;; esac`
    )

    const done = await step({ ...everything, docker: command })

    expectCleanFailure(done, /1 planned removal failed/)
    expect(resource(done, 'app:1').outcome).toBe('failed')
    expect(resource(done, 'app:1').detail).toMatch(message)
    expect(done.stdout.length).toBeLessThan(50_000)
    expect(resource(done, 'net').outcome).toBe('removed')
    expect((await contents()).references).toEqual(['app:1', 'busybox:1'])
  }
)

test('half of the answer right before the removal: nothing is removed', async () => {
  await load([oldImage('app')])
  // Calls are counted from the listing of the plan.
  const command = await dockerThat(
    `case "$1 $2" in "image inspect") [ "$(count looks)" = 2 ] && { $docker "$@" | head -c 200; exit 0; } ;; esac`
  )
  const done = await step({ ...everything, docker: command })
  expectCleanFailure(
    done,
    /The output of docker image inspect could not be read/
  )
  expect((await contents()).references).toEqual(['app:1', 'busybox:1'])
})

test('a stream of events that cannot be read is said, and ends with the step', async () => {
  await load([oldImage('app')])
  const command = await dockerThat(
    `case "$1 $4" in "events --format") trap '' TERM; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo '{"half'; sleep 300 ;; esac
case "$1 $2" in "image rm") sleep 1 ;; esac`
  )
  const done = await step({ ...everything, docker: command })
  expect(done).toMatchObject({ exitCode: 0, processesLeft: [] })
  expect(done.stdout).toContain('events broke off')
  expect(resource(done, 'app:1').outcome).toBe('removed')
})

/** Fills the engine's disk, and again whatever is freed. */
async function fillDisk(): Promise<void> {
  const fill = 'while :; do cat /dev/zero >>/full/file; sleep 0.1; done'
  await docker(
    ...['run', '--detach', '--network', 'none', '--name', 'fill'],
    ...['--volume', 'full:/full', 'busybox:1', 'sh', '-c', fill]
  )
  await sleep(2_000)
  await expectFullDisk()
}

const expectFullDisk = () =>
  expect(load([oldImage('late', 1_000_000)])).rejects.toThrow(/no space|write/)

test('on a full disk removal still works', async () => {
  await load([oldImage('app', 1_000_000), oldImage('other', 1_000_000)])
  await docker('tag', 'app:1', 'mirror:1')
  await docker('network', 'create', 'net')
  await docker('volume', 'create', 'data')
  await docker('create', '--name', 'old', '--network', 'none', 'app:1', 'true')
  await fillDisk()

  const done = await step({ ...everything, 'include-volumes': 'all' })

  await expectFullDisk()
  expect(done).toMatchObject({ exitCode: 0, outputs: { failed: '0' } })
  expect(await contents()).toMatchObject({
    containers: ['fill'],
    references: ['busybox:1'],
    images: [expect.anything()],
    networks: [],
    volumes: ['full']
  })
})

test('on a full disk an image that stays loses its expired tags', async () => {
  await load([oldImage('app')])
  await docker('tag', 'app:1', 'mirror:1')
  await load([
    {
      ...oldImage('mirror', 2_000),
      references: ['mirror:2'],
      created: '2024-06-01T12:00:00Z'
    }
  ])
  await fillDisk()

  const done = await step({ ...everything, 'keep-last': '1' })

  expect(done).toMatchObject({ exitCode: 0 })
  expect(resource(done, 'app:1')).toMatchObject({
    outcome: 'untagged',
    removedReferences: ['mirror:1']
  })
  expect((await contents()).references).toEqual([
    'app:1',
    'busybox:1',
    'mirror:2'
  ])
})

const dryRun = { ...everything, 'dry-run': 'true' }

/** Files that cannot be written, each for another reason. */
const faultyFiles = [
  ['is missing', () => Promise.resolve(join(folder, 'missing'))],
  [
    'is read-only',
    async () => {
      const path = join(folder, 'read-only')
      await writeFile(path, '', { mode: 0o444 })
      return path
    }
  ],
  ['is a folder', () => Promise.resolve(folder)],
  ['is on a full disk', () => Promise.resolve('/dev/full')]
] as const

test.each(faultyFiles)(
  'a file for the summary that %s is a warning, and the summary goes to the log',
  async (_, make) => {
    const env = { GITHUB_STEP_SUMMARY: await make() }
    const done = await step(dryRun, env, { without: withoutCapabilities })
    expect(done).toMatchObject({ exitCode: 0, outputs: { skipped: 'true' } })
    expect(done.stdout).toMatch(
      /^::warning::The job summary could not be written/m
    )
    expect(done.stdout).toContain('## Docker Reclaim')
    expect(done.report).toBeDefined()
  }
)

test.each(faultyFiles)(
  'a file for the outputs that %s is a warning, and the outputs go to the log',
  async (_, make) => {
    const env = { GITHUB_OUTPUT: await make() }
    const done = await step(dryRun, env, { without: withoutCapabilities })
    expect(done.exitCode).toBe(0)
    expect(done.stdout).toMatch(/^::warning::The outputs could not be written/m)
    expect(done.stdout).toMatch(/^reclaimed-bytes=0$/m)
    expect(done.stdout).toMatch(/^skipped=true$/m)
    expect(done.summary).toContain('Nothing to do')
  }
)

test.each(faultyFiles.slice(1))(
  'a file for the report that %s is a warning, and the report goes to the log',
  async (_, make) => {
    const file = await make()
    const done = await step({ ...dryRun, 'report-file': file }, undefined, {
      without: withoutCapabilities
    })
    expect(done).toMatchObject({ exitCode: 0, outputs: { 'report-file': '' } })
    expect(done.stdout).toMatch(/^::warning::The report could not be written/m)
    expect(done.summary).toContain('The report could not be written')
    const lines = done.stdout.split('\n')
    const printed = lines
      .slice(lines.indexOf('::group::Report') + 1)
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(printed[0]).toMatchObject({ version: 1, totals: { skipped: true } })
    expect(printed.slice(1)).toContainEqual(
      expect.objectContaining({ kind: 'image', name: 'busybox:1' })
    )
  }
)

test.each([
  ['is read-only', async (path: string) => mkdir(path, { mode: 0o555 })],
  ['is a file', async (path: string) => writeFile(path, '')],
  ['is on a full disk', async (path: string) => mkdir(path)]
])('a state-dir that %s is a warning', async (fault, make) => {
  // The ledger of so many is larger than a page.
  await load(images(40))
  const path = join(folder, 'state')
  await make(path)
  const user = process.getuid?.() === 0 ? [] : ['--map-root-user']
  const mount = `mount -t tmpfs -o size=4k tmpfs ${path} && exec "$@"`
  const without =
    fault === 'is on a full disk'
      ? ['unshare', ...user, '--mount', 'bash', '-c', mount, 'bash']
      : withoutCapabilities

  const done = await step({ ...everything, 'state-dir': path }, undefined, {
    without
  })

  expect(done).toMatchObject({
    exitCode: 0,
    outputs: { 'removed-images': '40' }
  })
  // What is denied is not tried again for long.
  const { startedAt = '', finishedAt = '' } = done.report ?? {}
  expect(Date.parse(finishedAt) - Date.parse(startedAt)).toBeLessThan(7_000)
  expect(done.stdout).toMatch(
    /^::warning::The ledger of earlier runs \(state-dir\) cannot be used: .*(EACCES|EEXIST|ENOTDIR|ENOSPC)/m
  )
})

test('a step that fails says so in the log where there is no summary', async () => {
  const done = await step(
    { docker: join(folder, 'none') },
    { GITHUB_STEP_SUMMARY: folder }
  )
  expect(done.exitCode).toBe(1)
  expect(done.stdout).toMatch(/^::error::There is no Docker CLI/m)
  expect(done.stdout).toContain('Nothing was removed')
})
