import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import type { Step } from '../../scripts/step.ts'
import { resource, useEngine } from './harness.ts'

const { docker, engine, load, build, step, contents } = useEngine()

/** A bit of everything that the step could remove. */
async function fill(): Promise<void> {
  await load(
    [1, 2, 3].map((day) => ({
      references: [`app:${day}`, `mirror/app:${day}`],
      created: `2024-05-0${day}T12:00:00Z`,
      layers: [
        { name: 'base', bytes: 50_000 },
        { name: `app-${day}`, bytes: 5_000 }
      ]
    }))
  )
  await build('FROM busybox:1\nRUN echo built >/built\n', {
    tag: 'built:1',
    buildKit: true
  })
  await build('FROM busybox:1\nLABEL step=1\nLABEL step=2\n', {
    tag: 'classic:1'
  })
  await docker('network', 'create', 'unused')
  await docker('volume', 'create', 'named')
  await docker(
    'run',
    '--network',
    'none',
    '--volume',
    '/data',
    '--name',
    'job',
    'busybox:1',
    'sh',
    '-c',
    'echo data >/data/file; echo more >/written'
  )
  await docker(
    'run',
    '--detach',
    '--network',
    'none',
    '--name',
    'web',
    'busybox:1',
    'sleep',
    '600'
  )
}

test('a dry run changes nothing, and the same inputs without it remove exactly what was planned', async () => {
  await fill()
  const everything = { 'keep-last': '1', until: '0s', 'include-volumes': 'all' }
  const before = [await contents(), await docker('system', 'df')]

  const plan = await step({ ...everything, 'dry-run': 'true' })

  expect([await contents(), await docker('system', 'df')]).toEqual(before)
  expect(plan.report?.dryRun).toBe(true)
  expect(plan.outputs).toMatchObject({
    'reclaimed-bytes': '0',
    'removed-images': '0',
    skipped: 'false'
  })
  const planned = plan.report?.resources.filter(
    ({ outcome }) => outcome === 'planned'
  )
  expect(new Set(planned?.map(({ kind }) => kind)).size).toBe(5)

  const done = await step(everything)

  expect(done.exitCode).toBe(0)
  expectLogOf(done)
  const removed = done.report?.resources.filter(({ outcome }) =>
    ['removed', 'untagged'].includes(outcome)
  )
  expect(removed?.map(({ id }) => id)).toEqual(planned?.map(({ id }) => id))
  const left = await contents()
  for (const { kind, id, name } of removed ?? []) {
    if (kind === 'image') expect(left.images).not.toContain(id)
    if (kind === 'container') expect(left.containers).not.toContain(name)
    if (kind === 'network') expect(left.networks).not.toContain(name)
    if (kind === 'volume') expect(left.volumes).not.toContain(id)
  }
  const stays =
    plan.report?.resources.filter(({ outcome }) => outcome === 'kept') ?? []
  expect(left.images.sort()).toEqual(
    stays
      .filter(({ kind }) => kind === 'image')
      .map(({ id }) => id)
      .sort()
  )
  expect(left.containers).toEqual(['web'])
})

/** A group a phase, a line a removal with reason and bytes, and at the end the first line of the summary. */
function expectLogOf({ stdout, summary, report }: Step): void {
  const lines = stdout.trim().split('\n')
  expect(lines.filter((line) => line.startsWith('::group::'))).toEqual([
    '::group::Look',
    '::group::Plan',
    '::group::Remove'
  ])
  expect(`## ${lines.at(-1) ?? ''}`).toBe(summary.split('\n')[0])
  for (const { kind, name, reason, outcome } of report?.resources ?? []) {
    const told = lines.filter(
      (line) =>
        line.startsWith(`${outcome} ${kind} `) &&
        line.includes(name) &&
        line.includes(`(${reason}: `) &&
        /\), \d[\d.]* [kM]?B(?:: |$)/.test(line)
    )
    if (outcome === 'removed') expect(told).toHaveLength(1)
  }
}

test('a run with nothing to do says so', async () => {
  const done = await step({})
  expect(done).toMatchObject({
    exitCode: 0,
    outputs: {
      skipped: 'true',
      failed: '0',
      'reclaimed-bytes': '0',
      reclaimed: '0 B'
    }
  })
  expect(done.summary).toContain('Nothing to do')
  expect(done.stdout).toContain('Nothing to do')
  expect((await contents()).references).toEqual(['busybox:1'])
})

test('the free space of the engine’s disk is read before and after', async () => {
  const done = await step({ 'protected-images': 'busybox' })
  expect(Number(done.outputs['free-bytes-before'])).toBeGreaterThan(0)
  expect(Number(done.outputs['free-bytes-after'])).toBeGreaterThan(0)
})

test('without the runner’s files the summary and the outputs go to the log', async () => {
  const done = await step(
    { 'dry-run': 'true' },
    { GITHUB_STEP_SUMMARY: undefined, GITHUB_OUTPUT: undefined }
  )
  expect(done.exitCode).toBe(0)
  expect(done.stdout).toContain('## Nothing to do')
  expect(done.stdout).toContain('skipped=true')
  expect(done.stdout).not.toContain('::set-output')
})

test('the report file stands where it was asked for, and the time and place of the run in it', async () => {
  const file = join(engine().folder, 'deep/down/report.json')
  const done = await step({ 'report-file': file, 'dry-run': 'true' })
  expect(done.outputs['report-file']).toBe(file)
  const report = JSON.parse(await readFile(file, 'utf8')) as Record<
    string,
    unknown
  >
  expect(report).toMatchObject({ version: 1, dryRun: true })
  const times = [report['startedAt'], report['finishedAt']].map((time) =>
    Date.parse(String(time))
  )
  expect(
    Math.max(...times.map((time) => Math.abs(time - Date.now())))
  ).toBeLessThan(60_000)
  expect(done.report?.engine.version).toBe(
    await docker('version', '--format', '{{.Server.Version}}')
  )
})

test('two runs at once do no harm, and neither of them fails', async () => {
  await load(
    Array.from({ length: 60 }, (_, index) => ({
      references: [`many:${index}`, `more:${index}`],
      created: '2024-05-01T12:00:00Z',
      layers: [{ name: `layer-${index}`, bytes: 1_000 }]
    }))
  )
  const inputs = {
    'keep-last': '0',
    until: '0s',
    'protected-images': 'busybox'
  }
  const runs = await Promise.all([step(inputs), step(inputs), step(inputs)])
  expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0])
  expect((await contents()).references).toEqual(['busybox:1'])
})

test('a protected pattern that matches nothing is a warning, but for the default', async () => {
  const patterns = {
    'protected-images': 'bussybox',
    'protected-labels': 'kepe=yes'
  }
  const done = await step({ ...patterns, 'dry-run': 'true' })
  expect(done.exitCode).toBe(0)
  expect(done.stdout).toMatch(/^::warning::protected-images: .*bussybox/m)
  expect(done.stdout).toMatch(/^::warning::protected-labels: .*kepe=yes/m)
  expect((await step({ 'dry-run': 'true' })).stdout).not.toContain(
    '::warning::'
  )
})

test('other people’s text reaches neither the runner’s commands nor the summary’s markup', async () => {
  const hostile = [
    '::error::x',
    '##[error]x',
    'a|b',
    '`code`',
    '<script>x</script>',
    '\u001b[31mred',
    'two\n::error::lines'
  ]
  const made: string[] = []
  for (const name of hostile) {
    const done = await docker('network', 'create', name).then(
      () => true,
      () => false
    )
    if (done) made.push(name)
  }
  // Docker takes any text as a label and as the name of a network's option.
  for (const [index, text] of hostile.entries())
    await docker(
      'create',
      '--network',
      'none',
      '--name',
      `c${index}`,
      '--label',
      `evil=${text}`,
      '--label',
      text,
      'busybox:1',
      'true'
    )
  expect(made.length).toBeGreaterThan(3)

  const done = await step({
    'keep-last': '0',
    until: '0s',
    'protected-images': 'busybox',
    'protected-labels': 'evil=::error::x\n*\\|*\n*<*>*'
  })

  expect(done.exitCode).toBe(0)
  const lines = done.stdout.split('\n')
  const commands = lines.filter(
    (line) => /^\s*::/.test(line) || line.includes('##[')
  )
  expect(
    commands.filter(
      (line) =>
        !/^::(group::(Look|Plan|Remove)|endgroup::|warning::)/.test(line)
    )
  ).toEqual([])
  expect(done.stdout).not.toContain('\u001b')
  expect(done.summary).not.toContain('\u001b')
  // Whatever stands between the fences of a code span is no markup.
  const markup = done.summary.replace(/(`+)(?!`)[^]*?[^`]\1(?!`)/g, '')
  expect(markup).not.toMatch(/script|::error|code|\[31m/)
  for (const line of markup
    .split('\n')
    .filter((one) => one.startsWith('| network |')))
    // With and without a column of bytes.
    expect([5, 6]).toContain(line.split('|').length)
  expect(resource(done, 'c0').outcome).toBe('kept')
})
