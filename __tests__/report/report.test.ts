import { expect, test } from '@jest/globals'
import type { Removal, Result } from '../../src/docker/removal.ts'
import type { PlanItem } from '../../src/policy/plan.ts'
import { heldBytes } from '../../src/report/held.ts'
import {
  makeReport,
  reportSchema,
  type ReportFacts
} from '../../src/report/report.ts'
import {
  cacheRecord,
  image,
  inventory,
  item,
  kept,
  resource
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
  engine: inventory().engine,
  inventory: inventory({ images }),
  plan: { scope: 'engine', items: [], unmatched: [] },
  sizes: { containers: new Map(), volumes: new Map(), layers: new Map() },
  removal: undefined,
  disk: { before: undefined, after: { free: 5, used: 9 } },
  startedAt: new Date(0),
  finishedAt: new Date(1_000)
}

function report(items: PlanItem[], removal: Removal | undefined) {
  return makeReport({
    ...reportFacts,
    plan: { scope: 'engine', items, unmatched: [] },
    removal
  })
}
const done = (...results: Result[]): Removal => ({
  results,
  fatal: undefined,
  cacheAfter: undefined
})

test('references count as untagged only once they are off', () => {
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

test('only what was removed is reclaimed, and a layer counts with the last image that had it', () => {
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

test('what the builder says is what the build cache freed', () => {
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

test('a run is skipped where nothing had to be done', () => {
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

test('a report fits its schema, with what cannot be read as null', () => {
  const made = report([untagging, item('volume', 'v')], undefined)
  expect(reportSchema.parse(JSON.parse(JSON.stringify(made)))).toEqual(made)
  expect(made.totals).toMatchObject({
    freeBytesBefore: null,
    freeBytesAfter: 5
  })
  expect(made).toMatchObject({
    startedAt: '1970-01-01T00:00:00.000Z',
    finishedAt: '1970-01-01T00:00:01.000Z'
  })
})

test('what is held back for a reason is what its removal would free', () => {
  const stays = (id: string, parts: object) =>
    resource({ id, outcome: 'kept', ...parts })
  const held = heldBytes({ images }, [
    stays('1', { reason: 'keep-last' }),
    stays('2', { reason: 'budget' }),
    stays('v', { kind: 'volume', reason: 'recent', ownBytes: 5 }),
    stays('w', { kind: 'volume', reason: 'recent' })
  ])
  expect([...held]).toEqual([
    ['keep-last', 10],
    ['budget', 0],
    ['recent', 5]
  ])
  // Once the other one has gone, its layer is held by this one alone.
  expect(
    heldBytes({ images }, [
      stays('1', { reason: 'keep-last' }),
      resource({ id: '2', outcome: 'removed' })
    ]).get('keep-last')
  ).toBe(30)
})

test('what stays has what it holds alone, and an image that goes what it can be pulled by', () => {
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
        item('build-cache', 'build-cache', kept)
      ],
      scope: 'engine',
      unmatched: []
    },
    sizes: { ...reportFacts.sizes, volumes: new Map([['v', 3]]) }
  })
  expect(made.resources.map(({ ownBytes }) => ownBytes)).toEqual([
    undefined,
    10,
    0,
    3,
    undefined,
    7
  ])
  expect(made.resources.map(({ digests }) => digests?.[0])).toEqual([
    'app@sha256:1',
    ...Array<undefined>(5)
  ])
})
