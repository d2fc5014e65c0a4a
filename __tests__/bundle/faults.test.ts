import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { withoutCapabilities } from '../../scripts/step.ts'
import {
  everything,
  expectCleanFailure,
  images,
  useFaults
} from '../engine/faults.ts'
import { oldImage, resource } from '../engine/harness.ts'

const { docker, load, step, contents, folder, dockerThat, untilPaused } =
  useFaults()

test.each([
  ['the listing', '"container ls"'],
  ['a removal', '"image rm"']
])(
  'a job that is cancelled while %s hangs has its summary within 5 s',
  async (_, call) => {
    await load(images(20))
    const hang = `trap '' INT TERM; : >${folder()}/paused; sleep 300`
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

const dryRun = { ...everything, 'dry-run': 'true' }

/** Files that cannot be written, each for another reason. */
const faultyFiles = [
  ['is missing', () => Promise.resolve(join(folder(), 'missing'))],
  [
    'is read-only',
    async () => {
      const path = join(folder(), 'read-only')
      await writeFile(path, '', { mode: 0o444 })
      return path
    }
  ],
  ['is a folder', () => Promise.resolve(folder())],
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
    expect(done.stdout).toContain('## Nothing to do')
    // The answer comes last, for whoever looks at a screen.
    expect(done.stdout.trimEnd().split('\n').at(-1)).toMatch(/^Nothing to do/)
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

test.each(faultyFiles)(
  'a file for the state that %s is a warning, and the step does its work',
  async (_, make) => {
    const env = { GITHUB_STATE: await make() }
    const done = await step(dryRun, env, { without: withoutCapabilities })
    expect(done).toMatchObject({ exitCode: 0, outputs: { skipped: 'true' } })
    expect(done.stdout).toMatch(
      /^::warning::The state of the step could not be written/m
    )
    expect(done.summary).toContain('Nothing to do')
  }
)

test('what could not be written for want of room is written after the removal', async () => {
  await load(images(3))
  const state = join(folder(), 'state')
  const ledgers = join(folder(), 'ledgers')
  await mkdir(state)
  await writeFile(ledgers, '')
  const command = await dockerThat(
    `case "$1 $2" in "image rm") once rm -r ${state} ${ledgers}; : >>${state} ;; esac`
  )

  const done = await step(
    { ...everything, 'state-dir': ledgers, docker: command },
    { GITHUB_STATE: state }
  )

  expect(done).toMatchObject({ exitCode: 0, outputs: { failed: '0' } })
  expect(done.stdout).toMatch(/^::warning::The ledger of earlier runs/m)
  expect(done.stdout).not.toContain('The state of the step')
  expect(await readFile(state, 'utf8')).toContain('begun')
  expect(await readdir(ledgers)).toContainEqual(
    expect.stringMatching(/^[0-9a-f]{16}\.json$/)
  )
})

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
  const path = join(folder(), 'state')
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

test.each([
  ['nobody reads on', ['bash', '-o', 'pipefail', '-c', '"$@" | head -n 1']],
  ['a full disk has no room for', ['bash', '-c', '"$@" >/dev/full']]
])('a log that %s is no reason to stop', async (_, command) => {
  await load(images(40))

  const done = await step(everything, undefined, {
    above: [...command, 'bash']
  })

  expect(done).toMatchObject({
    exitCode: 0,
    stderr: '',
    outputs: { 'removed-images': '40' },
    processesLeft: []
  })
  expect(done.summary).toMatch(/^## Reclaimed/)
  expect(done.report?.totals.failed).toBe(0)
})

test('a step that fails says so in the log where there is no summary', async () => {
  const done = await step(
    { docker: join(folder(), 'none') },
    { GITHUB_STEP_SUMMARY: folder() }
  )
  expect(done.exitCode).toBe(1)
  expect(done.stdout).toMatch(/^::error::There is no Docker CLI/m)
  expect(done.stdout).toContain('Nothing was removed')
})
