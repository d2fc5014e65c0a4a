import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ownBytes } from '../../src/accounting/layers.ts'
import { type Decision, remove } from '../../src/model/decision.ts'
import { type Disk, onImageStore, onRootDir } from '../../src/model/disks.ts'
import type { Inventory } from '../../src/model/inventory.ts'
import type { Kind } from '../../src/model/kinds.ts'
import { type Plan, type PlanItem, plannedItems } from '../../src/model/plan.ts'
import { makePlan } from '../../src/policy/plan.ts'
import {
  keepOnFreeDisks,
  orderUnderPressure
} from '../../src/policy/pressure.ts'
import {
  container,
  hour,
  image,
  inventory,
  item,
  minute,
  network,
  policy
} from '../builders.ts'
import { inventories, ruledPolicies } from './generators.ts'

const runs = { numRuns: 500 }
const engineScope = { kind: 'engine' } as const

const plans: fc.Arbitrary<{ plan: Plan; inventory: Inventory }> = fc
  .tuple(
    inventories,
    fc.oneof(fc.constant(policy({ until: { duration: 0 } })), ruledPolicies)
  )
  .map(([inventory, policy]) => ({
    inventory,
    plan: makePlan(inventory, { ...policy, scope: engineScope })
  }))

const documentedOrder = [
  ...['container', 'network', 'untagged image', 'build-cache', 'builder'],
  ...['image', 'reference', 'volume']
]

function placeOf({ kind, decision }: PlanItem): number {
  const image =
    decision.action === 'untag'
      ? 'reference'
      : decision.reason === 'dangling'
        ? 'untagged image'
        : 'image'
  return documentedOrder.indexOf(kind === 'image' ? image : kind)
}

/** The IDs that an item needs, by the words of rule 3. */
function needsOf({ id }: PlanItem, inventory: Inventory): string[] {
  const { containers, images, networks } = inventory
  const joins = containers.find((one) => one.id === id)?.joins ?? []
  const config = networks.find((one) => one.id === id)?.configFrom
  return [
    ...containers.filter((one) =>
      joins.some((to) => [one.id, one.name].includes(to))
    ),
    ...images.filter(
      (one) => images.find((of) => of.id === id)?.parent === one.id
    ),
    ...networks.filter(({ name }) => name === config)
  ]
    .map((one) => one.id)
    .filter((one) => one !== id)
}

/** Takes the best item that nothing left needs, again and again. */
function greedyOrder(plan: Plan, inventory: Inventory): string[] {
  const own = ownBytes(inventory.images)
  const keyOf = (item: PlanItem) => [
    placeOf(item),
    ...(item.kind === 'image'
      ? [-Math.floor((item.idle ?? -1) / hour), -(own.get(item.id) ?? 0)]
      : [0, 0]),
    -(item.idle ?? -1)
  ]
  const compare = (a: PlanItem, b: PlanItem) => {
    const [first, second] = [keyOf(a), keyOf(b)]
    const differs = first.findIndex((one, index) => one !== second[index])
    return differs < 0
      ? Number(a.id > b.id) - Number(a.id < b.id)
      : (first[differs] ?? 0) - (second[differs] ?? 0)
  }
  let left = plannedItems(plan).sort(compare)
  const order: string[] = []
  while (left.length > 0) {
    const needed = new Set(left.flatMap((one) => needsOf(one, inventory)))
    const next = left.find(({ id }) => !needed.has(id)) ?? left[0]
    order.push(next?.id ?? '')
    left = left.filter((one) => one !== next)
  }
  return order
}

test('each step is the most dispensable thing that nothing left needs', () => {
  let deferred = 0
  fc.assert(
    fc.property(plans, ({ plan, inventory }) => {
      const { removalOrder, items } = orderUnderPressure(plan, inventory)
      expect(items).toEqual(plan.items)
      const order = removalOrder.flatMap(({ ids }) => ids)
      expect(order).toEqual(greedyOrder(plan, inventory))
      const planned = plannedItems(plan)
      for (const { kind, ids } of removalOrder)
        expect(
          ids.every((id) =>
            planned.some((one) => one.kind === kind && one.id === id)
          )
        ).toBe(true)
      if (
        planned.some((one) =>
          needsOf(one, inventory).some((id) => order.includes(id))
        )
      )
        deferred += 1
    }),
    runs
  )
  expect(deferred).toBeGreaterThan(50)
})

test('no step has anything that an earlier item of the step needs', () => {
  fc.assert(
    fc.property(plans, ({ plan, inventory }) => {
      const planned = new Map(plannedItems(plan).map((one) => [one.id, one]))
      const { removalOrder } = orderUnderPressure(plan, inventory)
      for (const { ids } of removalOrder)
        for (const [index, id] of ids.entries()) {
          const user = planned.get(id)
          const needs = user ? needsOf(user, inventory) : []
          const later = ids.slice(index + 1)
          expect(later.filter((one) => needs.includes(one))).toEqual([])
        }
    }),
    runs
  )
})

const planOf = (...items: PlanItem[]): Plan => ({
  ...{ scope: '', items, removalOrder: [], unmatched: [] }
})
const idle = (one: PlanItem, idle: number | undefined) => ({ ...one, idle })

test('the order of kinds and of images', () => {
  const dangling = remove('dangling', 'untagged')
  const untag: Decision = {
    ...{ action: 'untag', reason: 'expired', detail: '' },
    removedReferences: ['app:1']
  }
  const items = [
    item('volume', 'v'),
    item('image', 'kept', untag),
    idle(item('image', 'of unknown age'), undefined),
    idle(item('image', 'young'), 20 * minute),
    idle(item('image', 'small'), 5 * hour + 50 * minute),
    idle(item('image', 'large'), 5 * hour),
    idle(item('image', 'old'), 6 * hour),
    item('builder', 'b'),
    item('build-cache', 'build-cache'),
    item('image', 'untagged', dangling),
    item('network', 'n'),
    item('container', 'c')
  ]
  const { removalOrder } = orderUnderPressure(
    planOf(...items),
    inventory({
      images: [
        // Most of it is shared.
        image('small', { bytes: 900, layers: ['base', 'small'] }),
        image('base', { bytes: 800, layers: ['base'] }),
        image('large', { bytes: 200, layers: ['large'] })
      ]
    })
  )
  expect(removalOrder).toEqual([
    { kind: 'container', ids: ['c'] },
    { kind: 'network', ids: ['n'] },
    { kind: 'image', ids: ['untagged'] },
    { kind: 'build-cache', ids: ['build-cache'] },
    { kind: 'builder', ids: ['b'] },
    {
      kind: 'image',
      ids: ['old', 'large', 'small', 'young', 'of unknown age', 'kept']
    },
    { kind: 'volume', ids: ['v'] }
  ])
})

test('what is needed waits, and goes right after the last that needs it', () => {
  const stepsOf = (plan: Plan, parts: Partial<Inventory>) =>
    orderUnderPressure(plan, inventory(parts)).removalOrder.map(
      ({ ids }) => ids
    )
  const images = planOf(
    idle(item('image', 'base'), 9 * hour),
    idle(item('image', 'child'), 3 * hour),
    idle(item('image', 'other'), 5 * hour),
    idle(item('image', 'young'), hour)
  )
  expect(
    stepsOf(images, {
      images: [image('base'), image('child', { parent: 'base' })]
    })
  ).toEqual([
    ['other', 'child'],
    ['base', 'young']
  ])
  const joined = [item('container', 'a'), item('container', 'b')]
  expect(
    stepsOf(
      planOf(...joined, item('network', 'config'), item('network', 'n')),
      {
        containers: [container('a'), container('b', { joins: ['name-of-a'] })],
        networks: [
          network('config'),
          network('n', { configFrom: 'name-of-config' })
        ]
      }
    )
  ).toEqual([['b'], ['a'], ['n'], ['config']])
  expect(
    stepsOf(planOf(...joined, item('container', 'c')), {
      containers: [
        container('a'),
        container('b'),
        container('c', { joins: ['a', 'b'] })
      ]
    })
  ).toEqual([['c'], ['a', 'b']])
  // Nothing makes such a cycle; the engine would refuse.
  expect(
    stepsOf(planOf(...joined), {
      containers: [
        container('a', { joins: ['b'] }),
        container('b', { joins: ['a'] })
      ]
    })
  ).toEqual([['a'], ['b']])
})

test('many images with one parent are in order at once', () => {
  const count = 10_000
  const images = Array.from({ length: count }, (_, index) =>
    image(`sha256:${index}`, { parent: index > 0 ? 'sha256:0' : undefined })
  )
  const plan = planOf(
    ...images.map(({ id }, index) =>
      idle(item('image', id), (count - index) * hour)
    )
  )
  const start = performance.now()
  const { removalOrder } = orderUnderPressure(plan, inventory({ images }))
  // About 0.1 s. Looking at every pair takes 20 s.
  expect(performance.now() - start).toBeLessThan(3_000)
  expect(removalOrder.map(({ ids }) => ids.length)).toEqual([count - 1, 1])
})

const space = (free: number) => ({ freeBytes: free, usedBytes: 100 - free })
const disks: fc.Arbitrary<Disk[]> = fc
  .tuple(fc.constantFrom(10, 90), fc.constantFrom(10, 90), fc.boolean())
  .map(([ofRootDir, ofImages, split]) => {
    const path = '/var/lib/docker'
    const all = [...onImageStore, ...onRootDir]
    return split
      ? [
          { path, holds: [...onRootDir], before: space(ofRootDir) },
          {
            ...{ path: '/var/lib/containerd', holds: [...onImageStore] },
            before: space(ofImages)
          }
        ]
      : [{ path, holds: all, before: space(ofRootDir) }]
  })

/** What each kind frees, by the words of the documentation. */
const freesImageStore: readonly Kind[] = ['image', 'build-cache']
const freesRootDir: readonly Kind[] = ['volume', 'network']

test('exactly what frees no low disk is kept, and nothing else changes', () => {
  let keptOnes = 0
  fc.assert(
    fc.property(plans, disks, ({ plan, inventory }, disks) => {
      const isLow = (content: Disk['holds'][number]) =>
        disks.some(
          ({ holds, before }) =>
            before.freeBytes < 50 && holds.includes(content)
        )
      const fitted = keepOnFreeDisks(plan, inventory, disks, { percent: 50 })
      expect(fitted.items).toHaveLength(plan.items.length)
      for (const [index, before] of plan.items.entries()) {
        const after = fitted.items[index]
        const { kind, decision } = before
        const frees = freesImageStore.includes(kind)
          ? isLow('images')
          : freesRootDir.includes(kind)
            ? isLow('volumes')
            : isLow('images') || isLow('volumes')
        if (decision.action === 'keep' || frees) {
          expect(after).toBe(before)
          continue
        }
        keptOnes += 1
        expect(after).toEqual({
          ...before,
          bytes: 0,
          decision: expect.objectContaining({
            ...{ action: 'keep', reason: 'target-reached' }
          })
        })
      }
      expect(fitted.removalOrder.flatMap(({ ids }) => ids).sort()).toEqual(
        plannedItems(fitted)
          .map(({ id }) => id)
          .sort()
      )
    }),
    runs
  )
  expect(keptOnes).toBeGreaterThan(300)
})

test('nothing goes that something kept on a free disk needs', () => {
  fc.assert(
    fc.property(plans, disks, ({ plan, inventory }, disks) => {
      const fitted = keepOnFreeDisks(plan, inventory, disks, { percent: 50 })
      const going = new Set(plannedItems(fitted).map(({ id }) => id))
      const kept = fitted.items.filter(
        ({ decision }) => decision.reason === 'target-reached'
      )
      for (const { id, kind } of kept) {
        const used = inventory.containers.find(
          (one) => kind === 'container' && one.id === id
        )
        const needs = [
          ...needsOf(item(kind, id), inventory),
          ...(used ? [used.image, ...used.networks, ...used.volumes] : [])
        ]
        expect(needs.filter((one) => going.has(one))).toEqual([])
      }
    }),
    runs
  )
})
