import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { hostname, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Docker } from '../../src/docker/cli.ts'
import { readInfo } from '../../src/docker/engine.ts'
import { readInputs } from '../../src/inputs/read.ts'
import {
  type Disk,
  diskContents,
  onImageStore,
  onRootDir,
  type Space
} from '../../src/model/disks.ts'
import { defaults, InputError, type InputName } from '../../src/model/inputs.ts'
import type { PlanItem } from '../../src/model/plan.ts'
import { headline } from '../../src/report/headline.ts'
import { makeOutputs } from '../../src/report/outputs.ts'
import type { Report, Resource } from '../../src/report/schema.ts'
import { isLookDue, readGate } from '../../src/run/gate.ts'
import {
  describePressure,
  warnOfDisks,
  warnOfTarget
} from '../../src/run/pressure.ts'
import { ledgerFile, writeLedger } from '../../src/state/ledgerFile.ts'
import {
  hour,
  item,
  kept,
  makeTestReport,
  minute,
  now,
  policy,
  resource
} from '../builders.ts'

const endpoint = 'unix:///var/run/docker.sock'
const answer = {
  ...{ ID: 'id', Name: hostname(), KernelVersion: release() },
  ...{ ServerVersion: '28.5.2', Driver: 'overlay2', DockerRootDir: '/' },
  SystemTime: new Date(now).toISOString()
}
const dockerThatSays =
  (info: object): Docker =>
  ([command]) =>
    command === 'info'
      ? Promise.resolve({
          ...{ exitCode: 0, stdout: JSON.stringify(info), stderr: '' }
        })
      : Promise.reject(new Error(`${command ?? ''} is not to be called`))
const gateOf = (
  pressure: Parameters<typeof policy>[0],
  { info = answer, host = endpoint } = {}
) =>
  readGate({
    docker: dockerThatSays(info),
    policy: policy(pressure),
    world: { env: { DOCKER_HOST: host } }
  })

test.each([
  [{}, undefined],
  [{ whenFreeBelow: { bytes: 1 } }, true],
  [{ whenFreeBelow: { bytes: 1e18 } }, false],
  [{ untilFreeAbove: { bytes: 1 } }, true],
  [{ untilFreeAbove: { bytes: 1e18 } }, false],
  // The gate decides, if there is one.
  [{ whenFreeBelow: { bytes: 1 }, untilFreeAbove: { bytes: 1e18 } }, true]
])('with %j the gate is closed: %s', async (pressure, closed) => {
  const gate = await gateOf(pressure)
  expect(gate?.closed).toBe(closed)
  if (gate)
    expect(gate.disks).toMatchObject([{ path: '/', holds: diskContents }])
})

test.each([
  [
    'another host',
    { info: { ...answer, Name: 'twin' } },
    'the engine runs on another host'
  ],
  [
    'a TCP address',
    { host: 'tcp://127.0.0.1:2376' },
    'the engine runs on another host'
  ],
  [
    'a missing folder',
    { info: { ...answer, DockerRootDir: '/none' } },
    'the disk of /none or of the image store is not visible'
  ]
])(
  'free space that cannot be read stops the step: %s',
  async (_, engine, why) => {
    const gate = gateOf({ whenFreeBelow: { percent: 10 } }, engine)
    await expect(gate).rejects.toThrow(InputError)
    await expect(gate).rejects.toThrow(
      `Nothing was removed: cannot read the free space of the engine's disks, which when-free-below and until-free-above require: ${why}.`
    )
  }
)

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gate-'))
})
afterAll(() => rm(folder, { recursive: true }))

const key = { endpoint, rootDir: '/', store: 'overlay2' }

/** Whether a look is due after the last one, with these inputs. */
async function isDueAfter(
  age: number,
  inputs: Partial<Record<InputName, string>> = {}
): Promise<boolean> {
  await writeLedger(folder, key, [], now - age)
  const all: Partial<Record<string, string>> = {
    'state-dir': folder,
    ...inputs
  }
  const step = readInputs((name) => all[name], { now, env: {} })
  const info = await readInfo(dockerThatSays(answer), {})
  return isLookDue(step, { info, context: { name: 'default', endpoint } })
}

test.each<[string, Partial<Record<InputName, string>>, number]>([
  ['six hours', { until: '7d' }, 6 * hour],
  ['a quarter of until', { until: '4h' }, hour],
  [
    'a quarter of the shortest until',
    { until: '7d', rules: 'a until=8h\nb until=2h\nc keep' },
    30 * minute
  ],
  ['six hours with until: 0s', { until: '0s', rules: 'a until=0s' }, 6 * hour],
  ['six hours with a date', { until: '2026-01-01' }, 6 * hour]
])('behind a closed gate, a look is due after %s', async (_, inputs, pause) => {
  expect(await isDueAfter(pause - 1, inputs)).toBe(false)
  expect(await isDueAfter(pause, inputs)).toBe(true)
})

test('a look is due without an earlier one, never without a state-dir, and when the clock was set back', async () => {
  expect(await isDueAfter(-minute)).toBe(false)
  expect(await isDueAfter(-7 * hour)).toBe(true)
  expect(await isDueAfter(7 * hour, { 'state-dir': '' })).toBe(false)
  const file = ledgerFile(folder, key)
  await rm(file)
  const fresh = { 'state-dir': join(folder, 'none') }
  expect(await isDueAfter(minute, fresh)).toBe(true)
  await writeFile(file, 'broken')
  const step = readInputs(
    (name) => (name === 'state-dir' ? folder : undefined),
    { now, env: {} }
  )
  const info = await readInfo(dockerThatSays(answer), {})
  const context = { name: 'default', endpoint }
  expect(await isLookDue(step, { info, context })).toBe(true)
})

const gigabyte = 1e9
const free = (share: number, parts: Partial<Space> = {}): Space => ({
  freeBytes: share * gigabyte,
  usedBytes: (100 - share) * gigabyte,
  ...parts
})
const rootDisk: Disk = {
  ...{ path: '/var/lib/docker', holds: [...onRootDir], before: free(10) }
}
const imageDisk: Disk = {
  ...{ path: '/var/lib/containerd', holds: [...onImageStore] },
  before: free(10)
}
const texts = {
  ...defaults,
  ...{ 'when-free-below': '15%', 'until-free-above': '30%' }
}
const pressure = {
  whenFreeBelow: { percent: 15 },
  untilFreeAbove: { percent: 30 }
}

test('the report has the gate, the target and whether it was reached', () => {
  const of = (
    wanted: Parameters<typeof describePressure>[0],
    after: number,
    closed = false
  ) =>
    describePressure(
      wanted,
      texts,
      [rootDisk, { ...imageDisk, after: free(after) }].slice(1),
      closed
    )
  const none = { whenFreeBelow: undefined, untilFreeAbove: undefined }
  expect(of(none, 30)).toBeUndefined()
  expect(of({ ...none, whenFreeBelow: { percent: 15 } }, 12)).toEqual({
    ...{ whenFreeBelow: '15%', open: true }
  })
  expect(of(pressure, 30)).toEqual({
    ...{ whenFreeBelow: '15%', untilFreeAbove: '30%' },
    ...{ open: true, targetReached: true }
  })
  expect(of(pressure, 29)?.targetReached).toBe(false)
  expect(of(pressure, 40, true)?.open).toBe(false)
  // One that is not measured again is as it was.
  expect(
    describePressure(pressure, texts, [rootDisk], false)?.targetReached
  ).toBe(false)
})

const reportOf = (
  resources: Resource[],
  parts: Partial<Report> = {}
): Report => {
  const disks = parts.disks ?? [
    { ...rootDisk, holds: [...diskContents], after: free(20) }
  ]
  return {
    ...makeTestReport(resources, { skipped: parts.pressure?.open === false }),
    pressure: describePressure(pressure, texts, disks, false),
    ...{ ...parts, disks }
  }
}

test.each([
  [true, 'true'],
  [false, 'false'],
  [undefined, '']
])('the output target-reached for %s', (targetReached, output) => {
  const pressure = { open: true, targetReached }
  const outputs = makeOutputs(reportOf([], { pressure }), '')
  expect(outputs).toMatchObject({ 'target-reached': output, skipped: 'false' })
  expect(makeOutputs(makeTestReport([]), '')['target-reached']).toBe('')
})

test.each([
  [{ whenFreeBelow: '15%', untilFreeAbove: '30%' }, 'when-free-below: 15%'],
  [{ untilFreeAbove: '30%' }, 'until-free-above: 30%']
])('a closed gate in the headline: %j', (wanted, input) => {
  const closed = reportOf([], { pressure: { ...wanted, open: false } })
  const enough = `enough space is free (${input})`
  expect(headline(closed)).toBe(
    `Nothing to do: ${enough}. Disk 90 % → 80 % used, 20 GB free.`
  )
  const planned = [resource({ outcome: 'planned' })]
  const dry = { ...closed, ...reportOf(planned, { dryRun: true }) }
  expect(headline(dry)).not.toContain('A real run')
  dry.pressure = closed.pressure
  expect(headline(dry)).toContain(
    ` A real run would do nothing now: ${enough}. Disk 90 % used, 10 GB free.`
  )
})

test('the headline counts what the target made unnecessary', () => {
  const left = resource({ outcome: 'kept', reason: 'target-reached' })
  // It would have freed no low disk.
  const elsewhere: Resource = { ...left, action: 'keep' }
  expect(headline(reportOf([resource(), left, elsewhere]))).toContain(
    '1 image. Target reached; not needed: 1 planned removal. Disk'
  )
  expect(headline(reportOf([resource(), elsewhere]))).not.toContain('Target')
})

test('a low disk on which nothing planned is gets a warning', () => {
  const warningsFor = (items: PlanItem[], disks: Disk[], wanted = pressure) =>
    warnOfDisks(
      { scope: '', items, removalOrder: [], unmatched: [] },
      disks,
      wanted
    ).map(({ text }) => text)
  const both = [rootDisk, imageDisk]
  expect(
    warningsFor([item('image', 'i'), item('volume', 'v', kept)], both)
  ).toEqual([
    'The disk of /var/lib/docker is low, 10 % (10 GB) free, and nothing that may be removed is on it.'
  ])
  // Containers have their log there.
  expect(warningsFor([item('container', 'c')], both)).toEqual([])
  expect(warningsFor([], both)).toHaveLength(2)
  expect(warningsFor([], [{ ...rootDisk, before: free(30) }])).toEqual([])
  const inodes = { freeInodes: 4, totalInodes: 100 }
  expect(warningsFor([], [{ ...rootDisk, before: free(40, inodes) }])).toEqual([
    'The disk of /var/lib/docker is low, 40 % (40 GB) and 4 % of the inodes free, and nothing that may be removed is on it.'
  ])
})

const holding = (
  kind: Resource['kind'],
  id: string,
  parts: Partial<Resource>
): Resource =>
  resource({
    ...{ kind, id, outcome: 'kept', action: 'keep' },
    ownBytes: 3 * gigabyte,
    ...parts
  })
const young = { reason: 'recent', heldBy: 'until' } as const
const warningsOf = (report: Report, inputs = texts, wanted = pressure) =>
  warnOfTarget(report, wanted, inputs, { images: [] }).map(({ text }) => text)

test('a target that is not reached names the three inputs that hold most', () => {
  const resources = [
    holding('volume', 'a', young),
    holding('container', 'b', young),
    holding('volume', 'c', {
      reason: 'named-volume',
      heldBy: 'include-volumes',
      ownBytes: 5 * gigabyte
    }),
    holding('volume', 'd', {
      reason: 'protected-label',
      heldBy: 'protected-labels'
    }),
    holding('volume', 'e', { reason: 'rule', heldBy: 'rules', ownBytes: 1 }),
    holding('volume', 'f', { reason: 'in-use', ownBytes: 90 * gigabyte }),
    holding('network', 'g', { reason: 'built-in', ownBytes: 0 })
  ]
  expect(warningsOf(reportOf(resources))).toEqual([
    'until-free-above: 30% was not reached: 20 % (20 GB) free on /var/lib/docker. until: 24h holds 6 GB; include-volumes: false holds 5 GB; protected-labels: keep holds 3 GB.'
  ])
  const rules = { ...texts, rules: 'a keep\nb keep' }
  expect(warningsOf(reportOf(resources.slice(4)), rules)).toEqual([
    expect.stringContaining('docker. rules holds 1 B.')
  ])
  expect(warningsOf(reportOf(resources.slice(5)))).toEqual([
    expect.stringContaining('docker. No input holds anything more there.')
  ])
  // The timeout has a warning of its own.
  const late = { reason: 'budget', heldBy: 'timeout' } as const
  expect(
    warningsOf(reportOf([...resources, holding('volume', 'h', late)]))
  ).toEqual([])
})

test('only what is on the low disks counts as held', () => {
  const resources = [
    holding('volume', 'a', young),
    holding('build-cache', 'b', { ...young, ownBytes: 50 * gigabyte }),
    holding('build-cache', 'c', {
      reason: 'not-included',
      heldBy: 'include-build-cache'
    })
  ]
  const disks = (ofRootDir: number, ofImages: number) => [
    { ...rootDisk, after: free(ofRootDir) },
    { ...imageDisk, after: free(ofImages) }
  ]
  expect(warningsOf(reportOf(resources, { disks: disks(20, 30) }))).toEqual([
    expect.stringMatching(
      /20 % \(20 GB\) free on \/var\/lib\/docker\. until: 24h holds 3 GB\.$/
    )
  ])
  expect(warningsOf(reportOf(resources, { disks: disks(20, 25) }))).toEqual([
    expect.stringMatching(
      /docker, 25 % .* on \/var\/lib\/containerd\. until: 24h holds 53 GB; include/
    )
  ])
})

test('there is no such warning where the target is reached, in a dry run, or behind a closed gate', () => {
  const low = reportOf([])
  expect(warningsOf(low)).toHaveLength(1)
  expect(warningsOf({ ...low, dryRun: true })).toEqual([])
  const pressures = [
    undefined,
    { open: true, targetReached: true },
    { open: false, targetReached: false }
  ]
  for (const pressure of pressures)
    expect(warningsOf(reportOf([], { pressure }))).toEqual([])
})
