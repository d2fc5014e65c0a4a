import { expect, test } from '@jest/globals'
import type { Removal, Result } from '../../src/model/outcome.ts'
import { keep } from '../../src/model/decision.ts'
import type { PlanItem } from '../../src/model/plan.ts'
import { heldBytes } from '../../src/report/ownBytes.ts'
import { makeReport, type ReportFacts } from '../../src/report/report.ts'
import {
  type Report,
  reportSchema,
  type Resource
} from '../../src/report/schema.ts'
import {
  cacheRecord,
  container,
  image,
  inventory,
  item,
  kept,
  resource,
  volume
} from '../builders.ts'

const untagging: PlanItem = {
  ...item('image', 'u', {
    action: 'untag',
    reason: 'expired',
    detail: 'old',
    removedReferences: ['a:1', 'a:2']
  }),
  references: ['a:1', 'a:2', 'b:1']
}
const images = [
  image('1', { layers: ['x', 'y'], bytes: 30 }),
  image('2', { layers: ['x'], bytes: 20 }),
  image('u')
]

const reportFacts: ReportFacts = {
  host: 'runner-1',
  action: { version: '1.0.0' },
  rules: [],
  pressure: undefined,
  engine: inventory().engine,
  inventory: inventory({ images }),
  plan: { scope: 'engine', items: [] },
  sizes: {
    containers: new Map(),
    logs: { bytes: new Map(), unread: false },
    volumes: new Map(),
    builders: new Map(),
    layers: new Map()
  },
  removal: undefined,
  disks: [],
  startedAt: new Date(0),
  finishedAt: new Date(1_000)
}

function report(items: PlanItem[], removal: Removal | undefined) {
  return makeReport({
    ...reportFacts,
    plan: { scope: 'engine', items },
    removal
  })
}
const done = (...results: Result[]): Removal => ({
  results,
  fatal: undefined,
  cacheAfter: undefined
})

test('references count as untagged only if they were removed', () => {
  expect(report([untagging], undefined).resources[0]).toMatchObject({
    outcome: 'planned',
    removedReferences: ['a:1', 'a:2']
  })
  expect(report([untagging], undefined).totals.untaggedReferences).toBe(0)
  for (const outcome of ['kept', 'failed', 'gone'] as const) {
    const { resources, totals } = report(
      [untagging],
      done({ item: untagging, outcome })
    )
    expect(resources[0]?.removedReferences).toBeUndefined()
    expect(totals).toMatchObject({
      untaggedReferences: 0,
      failed: outcome === 'failed' ? 1 : 0
    })
  }
  const partly: Result = {
    item: untagging,
    outcome: 'failed',
    removedReferences: ['a:1']
  }
  expect(report([untagging], done(partly)).totals).toMatchObject({
    untaggedReferences: 1,
    failed: 1
  })
})

test('only removed resources count as reclaimed, and a layer counts with the last image that had it', () => {
  const [first, second] = [item('image', '1'), item('image', '2')]
  const both = report(
    [first, second],
    done(
      { item: first, outcome: 'removed' },
      { item: second, outcome: 'removed' }
    )
  )
  expect(both.resources.map(({ bytes }) => bytes)).toEqual([10, 20])
  expect(both.totals).toMatchObject({ reclaimedBytes: 30, removedImages: 2 })
  const one = report(
    [first, second],
    done(
      { item: first, outcome: 'removed' },
      { item: second, outcome: 'kept', reason: 'changed', detail: 'used' }
    )
  )
  expect(one.resources.map(({ bytes }) => bytes)).toEqual([10, 0])
  expect(one.resources[1]).toMatchObject({
    action: 'remove',
    outcome: 'kept',
    reason: 'changed',
    detail: 'used'
  })
})

test('the build cache reports the bytes that the builder freed', () => {
  const cache = {
    ...item('build-cache', 'build-cache'),
    bytes: 1,
    bytesAtMost: 9
  }
  expect(
    report([cache], done({ item: cache, outcome: 'removed', freed: 7 })).totals
      .reclaimedBytes
  ).toBe(7)
  expect(report([cache], undefined).resources[0]).toMatchObject({
    bytes: 1,
    bytesAtMost: 9
  })
})

test('a run is skipped if there was nothing to do', () => {
  const cache = item('build-cache', 'build-cache')
  expect(report([item('image', '1', kept)], done()).totals.skipped).toBe(true)
  expect(
    report([cache], done({ item: cache, outcome: 'gone' })).totals.skipped
  ).toBe(true)
  expect(report([cache], undefined).totals.skipped).toBe(false)
  expect(
    report([untagging], done({ item: untagging, outcome: 'gone' })).totals
      .skipped
  ).toBe(false)
})

test('a report matches its schema, with null for unreadable values', () => {
  const made = report([untagging, item('volume', 'v')], undefined)
  expect(reportSchema.parse(JSON.parse(JSON.stringify(made)))).toEqual(made)
  expect(made.totals).toMatchObject({
    freeBytesBefore: null,
    freeBytesAfter: null
  })
  expect(made).toMatchObject({
    host: 'runner-1',
    action: { version: '1.0.0' },
    disks: [],
    startedAt: '1970-01-01T00:00:00.000Z',
    finishedAt: '1970-01-01T00:00:01.000Z'
  })
})

test('the totals are those of the disk of DockerRootDir; the report lists every disk', () => {
  const inodes = { freeInodes: 3, totalInodes: 10 }
  const disks: Report['disks'] = [
    {
      path: '/var/lib/docker',
      holds: ['volumes', 'logs'],
      before: { freeBytes: 4, usedBytes: 10, ...inodes },
      after: { freeBytes: 5, usedBytes: 9, ...inodes }
    },
    {
      path: '/var/lib/containerd',
      holds: ['images', 'containers', 'build-cache'],
      before: { freeBytes: 6, usedBytes: 1 }
    }
  ]
  const made = makeReport({ ...reportFacts, disks })
  expect(reportSchema.parse(JSON.parse(JSON.stringify(made)))).toEqual(made)
  expect(made.disks).toEqual(disks)
  expect(made.totals).toMatchObject({ freeBytesBefore: 4, freeBytesAfter: 5 })
})

test('a removed container has log bytes; a kept one does not', () => {
  const going = { ...item('container', 'c'), bytes: 7 }
  const staying = item('container', 'd', kept)
  const { resources } = makeReport({
    ...reportFacts,
    sizes: {
      ...reportFacts.sizes,
      containers: new Map([
        ['c', 7],
        ['d', 7]
      ]),
      logs: {
        bytes: new Map([
          ['c', 5],
          ['d', 5]
        ]),
        unread: false
      }
    },
    plan: { scope: 'engine', items: [going, staying] }
  })
  expect(resources).toMatchObject([{ bytes: 7, logBytes: 5 }, { ownBytes: 7 }])
  expect(resources[1]?.logBytes).toBeUndefined()
})

test('a kept resource names the input that keeps it', () => {
  const heldBy = (item: PlanItem, removal?: Removal) =>
    report([item], removal).resources[0]?.heldBy
  const by = (kind: PlanItem['kind'], ...decision: Parameters<typeof keep>) =>
    heldBy(item(kind, 'x', keep(...decision)))
  expect(by('image', 'keep-last', 'new')).toBe('keep-last')
  expect(by('image', 'in-use', 'by a container')).toBeUndefined()
  expect(by('network', 'not-included', 'no')).toBe('include-networks')
  expect(by('volume', 'not-included', 'its driver', null)).toBeUndefined()
  const small = ['recent', 'small', 'build-cache-keep'] as const
  expect(by('build-cache', ...small)).toBe('build-cache-keep')
  const going = item('image', '1')
  expect(heldBy(going)).toBeUndefined()
  const late = { outcome: 'kept', reason: 'budget', heldBy: 'timeout' } as const
  expect(heldBy(going, done({ item: going, ...late }))).toBe('timeout')
})

test('running containers and what they need are not idle', () => {
  const web = container('c', { state: 'running', image: '1', volumes: ['v'] })
  const builder = { state: 'running', name: 'buildx_buildkit_b0' }
  const { resources } = makeReport({
    ...reportFacts,
    inventory: inventory({
      images,
      containers: [web, container('b', builder)],
      volumes: [volume('v')]
    }),
    plan: {
      ...reportFacts.plan,
      items: [
        ...['1', '2'].map((id) => item('image', id, kept)),
        ...['c', 'b'].map((id) => item('container', id, kept)),
        item('volume', 'v', kept)
      ]
    }
  })
  const idle = (id: string) => resources.find((one) => one.id === id)?.idle
  const busy = ['1', 'c', 'v'].map(idle)
  expect(busy).toEqual([0, 0, 0])
  expect(idle('2')).toBeGreaterThan(0)
  expect(idle('b')).toBeGreaterThan(0)
})

test('the bytes held by a reason and an input are what removing its resources would free', () => {
  const stays = (id: string, parts: Partial<Resource>) =>
    resource({ id, outcome: 'kept', ...parts })
  const held = (...resources: Resource[]) =>
    heldBytes({ images }, resources).map(({ resources, ...one }) => ({
      ...one,
      ids: resources.map(({ id }) => id)
    }))
  const day = 86_400_000
  expect(
    held(
      stays('n', { kind: 'network', reason: 'built-in', idle: null }),
      stays('1', { reason: 'keep-last', heldBy: 'keep-last' }),
      stays('2', { reason: 'budget' }),
      stays('v', {
        kind: 'volume',
        reason: 'recent',
        heldBy: 'until',
        ownBytes: 5
      }),
      stays('w', { kind: 'volume', reason: 'recent', heldBy: 'until', idle: 9 })
    )
  ).toEqual([
    {
      ...{ reason: 'keep-last', input: 'keep-last', ids: ['1'] },
      ...{ bytes: 10, unknown: false, idle: 3 * day }
    },
    {
      ...{ reason: 'recent', input: 'until', ids: ['v', 'w'] },
      ...{ bytes: 5, unknown: true, idle: 3 * day }
    },
    {
      ...{ reason: 'built-in', input: undefined, ids: ['n'] },
      ...{ bytes: 0, unknown: false, idle: undefined }
    },
    {
      ...{ reason: 'budget', input: undefined, ids: ['2'] },
      ...{ bytes: 0, unknown: false, idle: 3 * day }
    }
  ])
  // Without the other image, this one holds the shared layer alone.
  expect(
    held(
      stays('1', { reason: 'keep-last' }),
      resource({ id: '2', outcome: 'removed' })
    )
  ).toMatchObject([{ reason: 'keep-last', bytes: 30 }])
  // Nothing says how large the layer is that these two share.
  const parted = (id: string) => image(id, { layers: ['base', id], bytes: 9 })
  expect(
    heldBytes(
      { images: ['1', '2', '3'].map(parted) },
      ['1', '2'].map((id) => stays(id, { reason: 'keep-last' }))
    )
  ).toMatchObject([{ unknown: true }])
  // One reason may come from several inputs.
  const notIncluded = (id: string, heldBy: Resource['heldBy']) =>
    stays(id, { reason: 'not-included', ...(heldBy && { heldBy }) })
  expect(
    held(
      notIncluded('1', 'include-images'),
      notIncluded('v', 'include-volumes'),
      notIncluded('w', undefined)
    ).map(({ input }) => input)
  ).toEqual(['include-images', 'include-volumes', undefined])
})

test('a kept resource has its own bytes, and a removed image the digests to pull it by', () => {
  const pulled = image('p', { digests: ['app@sha256:1'], bytes: 4 })
  const made = makeReport({
    ...reportFacts,
    inventory: inventory({
      images: [...images, pulled],
      buildCache: {
        records: [cacheRecord({ bytes: 7 }), cacheRecord({ shared: true })]
      }
    }),
    plan: {
      items: [
        item('image', 'p'),
        item('image', '1', kept),
        item('image', '2', kept),
        item('volume', 'v', kept),
        item('volume', 'w', kept),
        { ...item('builder', 'b', kept), volume: 'b_state' },
        item('build-cache', 'build-cache', kept)
      ],
      scope: 'engine'
    },
    sizes: {
      ...reportFacts.sizes,
      volumes: new Map([['v', 3]]),
      builders: new Map([['b', 5]])
    }
  })
  expect(made.resources.map(({ ownBytes }) => ownBytes)).toEqual([
    undefined,
    10,
    0,
    3,
    undefined,
    5,
    7
  ])
  expect(made.resources.find(({ kind }) => kind === 'builder')?.volume).toBe(
    'b_state'
  )
  expect(made.resources.map(({ digests }) => digests?.[0])).toEqual([
    'app@sha256:1',
    ...Array<undefined>(6)
  ])
})
