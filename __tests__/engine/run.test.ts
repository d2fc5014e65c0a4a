import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import type { Step } from '../../scripts/step.ts'
import {
  foreignCommands,
  foreignMarkup,
  hostileTexts,
  oddCharacters
} from '../hostile.ts'
import { podman, resource, useEngine } from './harness.ts'

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
  // Podman has no build cache.
  expect(new Set(planned?.map(({ kind }) => kind)).size).toBe(podman ? 4 : 5)

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
    'protected-labels': 'keep, kepe=yes'
  }
  const done = await step({ ...patterns, 'dry-run': 'true' })
  expect(done.exitCode).toBe(0)
  expect(done.stdout).toMatch(/^::warning::protected-images: .*bussybox/m)
  expect(done.stdout).toMatch(/^::warning::protected-labels: .*kepe=yes/m)
  expect(done.stdout).not.toMatch(/matches keep\./)
  expect((await step({ 'dry-run': 'true' })).stdout).not.toContain(
    '::warning::'
  )
})

// Each is a resource of every kind: a third of them is enough for a real engine.
const texts = hostileTexts.filter((_, index) => index % 3 === 0)

/** Nothing of what the step printed or wrote is other people's but text. */
function expectHarmless({ stdout, stderr, summary, outputs }: Step): void {
  const written = [stdout, stderr, summary, ...Object.values(outputs)]
  expect(written.flatMap(foreignCommands)).toEqual([])
  expect(written.flatMap(oddCharacters)).toEqual([])
  expect(foreignMarkup(summary)).toEqual([])
  expect(summary).toContain('evil')
}

/** Tries each call with each text; returns how many of them Docker took. */
async function tryAll(
  call: (text: string, index: number) => Promise<unknown>
): Promise<number> {
  const tried = await Promise.allSettled(texts.map(call))
  return tried.filter(({ status }) => status === 'fulfilled').length
}

test('other people’s text reaches neither the runner’s commands nor the summary’s markup', async () => {
  const old = { created: '2024-05-01T12:00:00Z' }
  // Docker takes nearly any name for a network, and any text as a label; not so for the other names.
  const taken = {
    networks: await tryAll((text) =>
      docker('network', 'create', '--label', `evil=${text}`, text)
    ),
    volumes: await tryAll((text) => docker('volume', 'create', text)),
    tags: await tryAll((text, index) =>
      load([{ ...old, references: [text], layers: [layer(text, index)] }])
    ),
    containers: await tryAll((text, index) =>
      docker(
        ...['create', '--network', 'none', '--name', `evil-${index}`],
        ...['--label', `evil=${text}`, '--env', `evil=${text}`],
        ...['busybox:1', text]
      )
    )
  }
  await load(
    texts.map((text, index) => ({
      ...old,
      references: [`evil:${index}`],
      labels: { [text]: text, evil: text },
      layers: [layer(text, index)]
    }))
  )
  const all = texts.length
  expect(taken.containers).toBe(all)
  // Podman takes no such names.
  if (!podman) expect(taken.networks).toBeGreaterThan(all / 2)
  await docker(
    ...['commit', '--author', '::error::evil', '--message', '<b>evil\n::x'],
    ...['evil-0', 'evil:commit']
  )
  const inputs = {
    'keep-last': '0',
    until: '0s',
    'include-volumes': 'all',
    'protected-images': 'busybox',
    'protected-labels': texts
      .filter((_, index) => index % 2 === 0)
      .map((text) => `evil=${text.replaceAll(/[\n,]/g, '*')}`)
      .join('\n')
  }

  const plan = await step({ ...inputs, 'dry-run': 'true' })
  expect(plan.exitCode).toBe(0)
  expectHarmless(plan)
  const logged = await step(
    { ...inputs, 'dry-run': 'true' },
    { GITHUB_STEP_SUMMARY: undefined, GITHUB_OUTPUT: undefined }
  )
  expect(logged.stdout).toContain('## Would reclaim')
  expectHarmless({ ...logged, summary: plan.summary })

  // The engine refuses each removal with such words; the calls of the CLI are real but for that.
  const command = join(engine().folder, 'refusing')
  const words = join(engine().folder, 'words')
  await writeFile(words, `Error response from daemon: ${texts.join('\n')}\n`)
  await writeFile(
    command,
    `#!/bin/sh
case "$2" in rm) cat ${words} >&2; exit 1 ;; esac
exec ${engine().docker} "$@"
`,
    { mode: 0o755 }
  )
  const refused = await step({ ...inputs, docker: command })
  expect(refused.exitCode).toBe(1)
  expect(refused.outputs['failed']).not.toBe('0')
  expectHarmless(refused)

  const done = await step(inputs)
  expect(done.exitCode).toBe(0)
  expectHarmless(done)
  expect(resource(done, 'evil-0').reason).toBe('protected-label')
  expect(resource(done, 'evil-1').outcome).toBe('removed')
})

const layer = (text: string, index: number) => ({
  name: text.replaceAll('/', ''),
  bytes: 1_000 + index
})
