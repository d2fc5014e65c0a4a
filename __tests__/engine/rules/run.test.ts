import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import type { Step } from '../../../scripts/engines/step.ts'
import type { Report } from '../../../src/report/schema.ts'
import {
  foreignCommands,
  foreignMarkup,
  hostileTexts,
  oddCharacters
} from '../../hostile.ts'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { everything, oldImage } from '../harness/things.ts'

const { docker, api, load, build, run, step, contents, folder, dockerThat } =
  useEngine()

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
  await api().post('/networks/create', { Name: 'unused' })
  await api().post('/volumes/create', { Name: 'named' })
  await docker(
    ...['run', '--network', 'none', '--volume', '/data', '--name', 'job'],
    ...['busybox:1', 'sh', '-c', 'echo data >/data/file; echo more >/written']
  )
  await run('web', 'busybox:1', 'sleep', '600')
}

test('a dry run changes nothing, and a real run with the same inputs removes exactly what was planned', async () => {
  await fill()
  const inputs = { 'keep-last': '1', until: '0s', 'include-volumes': 'all' }
  const before = [await contents(), await docker('system', 'df')]
  const file = join(folder(), 'deep/down/report.json')

  const plan = await step({
    ...inputs,
    ...{ 'dry-run': 'true', 'report-file': file }
  })

  expect([await contents(), await docker('system', 'df')]).toEqual(before)
  expect(plan.outputs).toMatchObject({
    'reclaimed-bytes': '0',
    'removed-images': '0',
    'report-file': file,
    skipped: 'false'
  })
  await expectReportOf(plan, file)
  const planned = plan.report?.resources.filter(
    ({ outcome }) => outcome === 'planned'
  )
  expect(new Set(planned?.map(({ kind }) => kind)).size).toBe(5)

  const done = await step(inputs)

  expect(done.exitCode).toBe(0)
  expectLogOf(done)
  for (const when of ['before', 'after'])
    expect(Number(done.outputs[`free-bytes-${when}`])).toBeGreaterThan(0)
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
  const keptImages = plan.report?.resources.filter(
    ({ kind, outcome }) => kind === 'image' && outcome === 'kept'
  )
  expect(left.images).toEqual(keptImages?.map(({ id }) => id).sort())
  expect(left.containers).toEqual(['web'])
})

/** Expects the report file, with the times and the engine of the run. */
async function expectReportOf({ report }: Step, file: string): Promise<void> {
  const written = JSON.parse(await readFile(file, 'utf8')) as Report
  expect(written).toMatchObject({ version: 1, dryRun: true })
  for (const time of [written.startedAt, written.finishedAt])
    expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(60_000)
  const { Version } = await api().get<{ Version: string }>('/version')
  expect(report?.engine.version).toBe(Version)
}

/** Expects a log group per phase, a line per removal, and the first line of the summary at the end. */
function expectLogOf({ stdout, summary, report }: Step): void {
  const lines = stdout.trim().split('\n')
  expect(lines.filter((line) => line.startsWith('::group::'))).toEqual([
    '::group::Look',
    '::group::Plan',
    '::group::Remove'
  ])
  expect(`## ${lines.at(-1) ?? ''}`).toBe(summary.split('\n')[0])
  for (const { kind, name, reason, outcome } of report?.resources ?? []) {
    const reported = lines.filter(
      (line) =>
        line.startsWith(`${outcome} ${kind.replace('-', ' ')} `) &&
        line.includes(name) &&
        line.includes(`(${reason}: `) &&
        /\), \d[\d.]* [kM]?B(?:: |$)/.test(line)
    )
    if (outcome === 'removed') expect(reported).toHaveLength(1)
  }
}

test('a run with nothing to do says so, even without the runner’s files and with unmatched patterns', async () => {
  const [done, bare] = await Promise.all([
    step({}),
    step(
      {
        'protected-images': 'bussybox',
        'protected-labels': 'keep, kepe=yes',
        'dry-run': 'true'
      },
      { GITHUB_STEP_SUMMARY: undefined, GITHUB_OUTPUT: undefined }
    )
  ])

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
  // The default pattern does not match either, but causes no warning.
  expect(done.stdout).not.toContain('::warning::')
  expect((await contents()).references).toEqual(['busybox:1'])

  expect(bare.exitCode).toBe(0)
  expect(bare.stdout).toContain('## Nothing to do')
  expect(bare.stdout).toContain('skipped=true')
  expect(bare.stdout).not.toContain('::set-output')
  expect(bare.stdout).toMatch(/^::warning::protected-images: .*bussybox/m)
  expect(bare.stdout).toMatch(/^::warning::protected-labels: .*kepe=yes/m)
  expect(bare.stdout).not.toMatch(/matches keep\./)
})

// Each text becomes a resource of every kind; a third of them is enough on a real engine.
const texts = hostileTexts.filter((_, index) => index % 3 === 0)

/** Expects other people's text in the output to be harmless. */
function expectHarmless({ stdout, stderr, summary, outputs }: Step): void {
  const written = [stdout, stderr, summary, ...Object.values(outputs)]
  expect(written.flatMap(foreignCommands)).toEqual([])
  expect(written.flatMap(oddCharacters)).toEqual([])
  expect(foreignMarkup(summary)).toEqual([])
  expect(summary).toContain('evil')
}

/** Tries a call with every text; returns how many Docker accepted. */
async function tryAll(
  call: (text: string, index: number) => Promise<unknown>
): Promise<number> {
  const tried = await Promise.allSettled(texts.map(call))
  return tried.filter(({ status }) => status === 'fulfilled').length
}

/** Uses the texts wherever Docker accepts them: as network names and labels, and rarely as other names. */
async function fillWithTexts(): Promise<void> {
  const image = (text: string, index: number) =>
    oldImage(text.replaceAll('/', ''), 1_000 + index)
  const labelsOf = (text: string) => ({ evil: text })
  const networks = await tryAll((text) =>
    api().post('/networks/create', { Name: text, Labels: labelsOf(text) })
  )
  const containers = await tryAll((text, index) =>
    api().post(`/containers/create?name=evil-${index}`, {
      ...{ Image: 'busybox:1', Cmd: [text], Env: [`evil=${text}`] },
      ...{ Labels: labelsOf(text), HostConfig: { NetworkMode: 'none' } }
    })
  )
  expect(containers).toBe(texts.length)
  expect(networks).toBeGreaterThan(texts.length / 2)
  await tryAll((text) => api().post('/volumes/create', { Name: text }))
  await tryAll((text, index) =>
    load([{ ...image(text, index), references: [text] }])
  )
  await load(
    texts.map((text, index) => ({
      ...image(text, index),
      references: [`evil:${index}`],
      labels: { [text]: text, ...labelsOf(text) }
    }))
  )
  await docker(
    ...['commit', '--author', '::error::evil', '--message', '<b>evil\n::x'],
    ...['evil-0', 'evil:commit']
  )
}

test('other people’s text reaches neither the runner’s commands nor the summary’s markup', async () => {
  await fillWithTexts()
  const inputs = {
    ...everything,
    'include-volumes': 'all',
    'protected-labels': texts
      .filter((_, index) => index % 2 === 0)
      .map((text) => `evil=${text.replaceAll(/[\n,]/g, '*')}`)
      .join('\n')
  }
  const dryRun = { ...inputs, 'dry-run': 'true' }

  const [plan, logged] = await Promise.all([
    step(dryRun),
    step(dryRun, { GITHUB_STEP_SUMMARY: undefined, GITHUB_OUTPUT: undefined })
  ])
  expect(plan.exitCode).toBe(0)
  expectHarmless(plan)
  expect(logged.stdout).toContain('## Would reclaim')
  expectHarmless({ ...logged, summary: plan.summary })

  // The engine refuses every removal with a malicious message.
  const words = join(folder(), 'words')
  await writeFile(words, `Error response from daemon: ${texts.join('\n')}\n`)
  const refused = await step({
    ...inputs,
    docker: await dockerThat(
      `case "$2" in rm) cat ${words} >&2; exit 1 ;; esac`
    )
  })
  expect(refused.exitCode).toBe(1)
  expect(refused.outputs['failed']).not.toBe('0')
  expectHarmless(refused)

  const done = await step(inputs)
  expect(done.exitCode).toBe(0)
  expectHarmless(done)
  expect(resource(done, 'evil-0').reason).toBe('protected-label')
  expect(resource(done, 'evil-1').outcome).toBe('removed')
})
