import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import packageFile from '../../../package.json' with { type: 'json' }
import {
  type Step,
  withoutCapabilities
} from '../../../scripts/engines/step.ts'
import { useEngine } from '../harness/engine.ts'
import { everything, oldImages } from '../harness/things.ts'

const { api, folder, load, step, dockerThat } = useEngine()
const dryRun = { ...everything, 'dry-run': 'true' }
const without = withoutCapabilities

/** Files that cannot be written, for different reasons. */
const faultyFiles = [
  ['are missing', () => Promise.resolve(join(folder(), 'missing'))],
  [
    'are read-only',
    async () => {
      const path = join(folder(), 'read-only')
      await writeFile(path, '', { mode: 0o444 })
      return path
    }
  ],
  ['are folders', () => Promise.resolve(folder())],
  ['are on a full disk', () => Promise.resolve('/dev/full')]
] as const

test.each(faultyFiles)(
  'summary and state files that %s cause warnings, and the summary is logged',
  async (_, make) => {
    const file = await make()
    const env = { GITHUB_STEP_SUMMARY: file, GITHUB_STATE: file }
    const done = await step(dryRun, env, { without })
    expect(done).toMatchObject({ exitCode: 0, outputs: { skipped: 'true' } })
    expect(done.stdout).toMatch(/^::warning::Cannot write the job summary/m)
    expect(done.stdout).toMatch(
      /^::warning::Cannot save the state of this step/m
    )
    expect(done.stdout).toContain('## Nothing to do')
    // Only that warning may follow the first line of the summary in the log.
    expect(done.stdout).toMatch(
      /^Nothing to do.*\n::warning::Cannot save the state of this step.*\s*$/m
    )
    expect(done.report).toBeDefined()
  }
)

test.each(faultyFiles)(
  'output and report files that %s cause warnings, and both are logged',
  async (fault, make) => {
    const file = await make()
    // The step creates a missing report file.
    const written = fault === 'are missing'
    const done = await step(
      { ...dryRun, ...(!written && { 'report-file': file }) },
      { GITHUB_OUTPUT: file },
      { without }
    )
    expect(done.exitCode).toBe(0)
    expect(done.stdout).toMatch(/^::warning::Cannot write the outputs/m)
    expect(done.stdout).toMatch(/^reclaimed-bytes=0$/m)
    expect(done.stdout).toMatch(/^skipped=true$/m)
    expect(done.summary).toContain('Nothing to do')
    expect(done.stdout.trimEnd().split('\n').at(-1)).toMatch(/^Nothing to do/)
    if (written) return

    expect(done.stdout).toMatch(/^report-file=$/m)
    expect(done.stdout).toMatch(/^::warning::Cannot write the report/m)
    expect(done.summary).toContain('Cannot write the report')
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

test('files that could not be written for lack of space are written after the removal', async () => {
  await load(oldImages(3))
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
  expect(done.stdout).toMatch(
    /^::warning::Cannot use the memory of earlier runs/m
  )
  expect(done.stdout).not.toContain('The state of the step')
  expect(await readFile(state, 'utf8')).toContain('begun')
  expect(await readdir(ledgers)).toContainEqual(
    expect.stringMatching(/^[0-9a-f]{16}\.json$/)
  )
})

test('a state-dir that cannot be written causes a warning, and the step continues', async () => {
  await load(oldImages(1))
  // With so many volumes, the ledger is larger than a page.
  for (let index = 0; index < 80; index += 1)
    await api().post('/volumes/create', { Name: `volume-${index}` })
  const readOnly = join(folder(), 'read-only')
  await mkdir(readOnly, { mode: 0o555 })
  const file = join(folder(), 'file')
  await writeFile(file, '')
  const full = join(folder(), 'full')
  await mkdir(full)
  const user = process.getuid?.() === 0 ? [] : ['--map-root-user']
  const mount = `mount -t tmpfs -o size=4k tmpfs ${full} && exec "$@"`
  const onFullDisk = [
    'unshare',
    ...user,
    '--mount',
    'bash',
    '-c',
    mount,
    'bash'
  ]

  const [plain, ...planned] = await Promise.all(
    ['', readOnly, file].map((path) =>
      step({ ...dryRun, 'state-dir': path }, undefined, { without })
    )
  )
  const done = await step({ ...everything, 'state-dir': full }, undefined, {
    without: onFullDisk
  })

  expect(done.outputs['removed-images']).toBe('1')
  // Denied writes are not retried for 7.5 s, as the library would by default.
  for (const { milliseconds } of planned)
    expect(milliseconds).toBeLessThan((plain?.milliseconds ?? 0) + 6_000)
  for (const { exitCode, stdout } of [...planned, done]) {
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(
      /^::warning::Cannot use the memory of earlier runs \(state-dir\): .*(EACCES|EEXIST|ENOTDIR|ENOSPC)/m
    )
  }
})

test.each([
  [
    'nobody reads to the end',
    ['bash', '-o', 'pipefail', '-c', '"$@" | head -n 1']
  ],
  ['does not fit on a full disk', ['bash', '-c', '"$@" >/dev/full']]
])('a log that %s does not stop the step', async (_, command) => {
  await load(oldImages(10))

  const done = await step(everything, undefined, {
    above: [...command, 'bash']
  })

  expect(done).toMatchObject({
    exitCode: 0,
    stderr: '',
    outputs: { 'removed-images': '10' },
    processesLeft: []
  })
  expect(done.summary).toMatch(/^## Reclaimed/)
  expect(done.report?.totals.failed).toBe(0)
})

test('the log and the report have the version of the action, the report also the host', async () => {
  const env = { RUNNER_NAME: 'runner-1' }
  const [first, named, unnamed] = await Promise.all([
    step(dryRun, env),
    step({ ...dryRun, 'host-name': 'build-7' }, env),
    step({ ...dryRun, 'host-name': '' }, env)
  ])
  expect(first.report?.host).toBe('runner-1')
  expect(named.report?.host).toBe('build-7')
  expect(unnamed.report?.host).toBe(hostname())
  const { version } = packageFile
  for (const { report, stdout } of [first, named, unnamed]) {
    expect(report?.action).toEqual({ version })
    expect(stdout.split('\n')[0]).toBe(`Docker Reclaim ${version}`)
  }
})

test.each([
  ['true', true, true],
  ['failures', false, true],
  ['false', false, false]
])(
  'job-summary: %s: a summary after a success: %s, after a failed removal: %s',
  async (choice, afterSuccess, afterFailure) => {
    await load(oldImages(1))
    const inputs = { ...everything, 'job-summary': choice }
    const refuses = await dockerThat(
      'case "$1 $2" in "image rm") echo "Error response from daemon: broken" >&2; exit 1 ;; esac'
    )
    const noFile = { GITHUB_STEP_SUMMARY: undefined }
    const isIn = ({ stdout }: Step) => /^## /m.test(stdout)

    const failed = await step({ ...inputs, docker: refuses })
    const failedBare = await step({ ...inputs, docker: refuses }, noFile)
    const bare = await step({ ...inputs, 'dry-run': 'true' }, noFile)
    const done = await step(inputs)

    for (const { exitCode, outputs } of [failed, failedBare])
      expect({ exitCode, failed: outputs['failed'] }).toEqual({
        exitCode: 1,
        failed: '1'
      })
    expect(failed.summary !== '').toBe(afterFailure)
    expect(isIn(failedBare)).toBe(afterFailure)
    expect(bare.exitCode).toBe(0)
    expect(isIn(bare)).toBe(afterSuccess)
    expect(done).toMatchObject({ exitCode: 0, outputs: { failed: '0' } })
    expect(done.summary !== '').toBe(afterSuccess)
    // The answer is in the log, whatever the choice.
    expect(done.stdout.trimEnd().split('\n').at(-1)).toMatch(/^Reclaimed/)
  }
)

test('a failed step reports the error in the log if there is no summary', async () => {
  const done = await step(
    { docker: join(folder(), 'none') },
    { GITHUB_STEP_SUMMARY: folder() }
  )
  expect(done.exitCode).toBe(1)
  expect(done.stdout).toMatch(/^::error::Docker CLI .* not found/m)
  expect(done.stdout).toContain('Nothing was removed')
})
