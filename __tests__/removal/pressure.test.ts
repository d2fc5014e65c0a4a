import { expect, jest, test } from '@jest/globals'
import type { Docker } from '../../src/docker/cli.ts'
import { DockerError } from '../../src/docker/errors.ts'
import { inspectImages } from '../../src/docker/images.ts'
import { inspectVolumes } from '../../src/docker/volumes.ts'
import {
  type Disk,
  diskContents,
  type FreeSpace,
  onImageStore,
  onRootDir,
  type Space
} from '../../src/model/disks.ts'
import type { Kind } from '../../src/model/kinds.ts'
import type { Plan, PlanItem } from '../../src/model/plan.ts'
import { removeAll } from '../../src/removal/removal.ts'
import { noStream } from '../../src/removal/stream.ts'
import { cacheRecord, inventory, item } from '../builders.ts'

const root = '/var/lib/docker'
const store = '/var/lib/containerd'
const engine = { ...inventory().engine, logsBuilds: false }

type Call = [name: string, ...args: string[]]

/** An engine with a disk of 100 bytes, on which images, volumes and build cache lie. */
function makeEngine({
  free = 0,
  split = false,
  images = {},
  volumes = {},
  cache = 0,
  lag = 0,
  onCall = () => undefined
}: {
  free?: number
  /** Volumes are on a disk of their own, with the same free space. */
  split?: boolean
  images?: Record<string, number>
  volumes?: Record<string, number>
  /** Unshared bytes of the build cache. */
  cache?: number
  /** Milliseconds until freed space shows. */
  lag?: number
  onCall?: (call: Call, world: World) => void
}) {
  const world: World = {
    ...{ free: { [root]: free, [store]: free }, cache, time: 0 },
    ...{ calls: [], late: [], unreadable: new Set() }
  }
  const sizes = new Map(Object.entries({ ...images, ...volumes }))
  const there = new Set(sizes.keys())
  const imageDisk = split ? store : root
  const release = (path: string, bytes: number) =>
    world.late.push({ path, bytes, at: world.time + lag })
  const remove = (ids: readonly string[], path: string) =>
    ids.map((id) => {
      if (there.delete(id)) release(path, sizes.get(id) ?? 0)
      return id
    })
  const prune = (args: readonly string[]) => {
    const keep = Number(args[args.indexOf('--keep-storage') + 1] ?? 0)
    const freed = args.includes('--keep-storage')
      ? Math.max(world.cache - keep, 0)
      : world.cache
    world.cache -= freed
    release(imageDisk, freed)
    const record = `${'r'.repeat(24)}${world.calls.length}`
    return freed > 0 ? `${record}\nTotal: ${freed}B` : 'Total: 0B'
  }
  const answer = ([one = '', two = '', ...args]: readonly string[]) => {
    const ids = args.slice(args.indexOf('--') + 1)
    const found = ids.filter((id) => there.has(id))
    const name = `${one} ${two}`
    if (name === 'image inspect')
      return JSON.stringify(
        found.map((Id) => ({ Id, RootFS: { Type: 'layers' } }))
      )
    if (name === 'volume inspect')
      return JSON.stringify(found.map((Name) => ({ Name, Driver: 'local' })))
    if (args.includes('--help')) return ''
    if (!['image rm', 'volume rm', 'builder prune'].includes(name)) return ''
    const call: Call = [name, ...(name === 'builder prune' ? args : ids)]
    world.calls.push(call)
    onCall(call, world)
    if (name === 'builder prune') return prune(args)
    return name === 'image rm'
      ? remove(ids, imageDisk)
          .map((id) => `Deleted: ${id}`)
          .join('\n')
      : remove(ids, root).join('\n')
  }
  const docker: Docker = (args) => {
    try {
      return Promise.resolve({ exitCode: 0, stdout: answer(args), stderr: '' })
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error())
    }
  }
  const settle = () => {
    for (const one of world.late.filter(({ at }) => at <= world.time))
      world.free[one.path] = (world.free[one.path] ?? 0) + one.bytes
    world.late = world.late.filter(({ at }) => at > world.time)
  }
  const readSpace = (path: string): Promise<Space | undefined> => {
    settle()
    const freeBytes = world.free[path] ?? 0
    return Promise.resolve(
      world.unreadable.has(path)
        ? undefined
        : { freeBytes, usedBytes: 100 - freeBytes }
    )
  }
  const before = { freeBytes: free, usedBytes: 100 - free }
  const disks: Disk[] = split
    ? [
        { path: root, holds: [...onRootDir], before },
        { path: store, holds: [...onImageStore], before }
      ]
    : [{ path: root, holds: [...diskContents], before }]
  const sleep = (milliseconds: number) => {
    world.time += milliseconds
    return Promise.resolve()
  }
  return { world, docker, disks, readSpace, sleep }
}

type World = {
  free: Record<string, number>
  cache: number
  /** Milliseconds that the run has waited. */
  time: number
  calls: Call[]
  late: { path: string; bytes: number; at: number }[]
  unreadable: Set<string>
}

type Made = ReturnType<typeof makeEngine>

/** Removes items in steps of one kind until that much is free. */
async function run(
  { docker, ...target }: Made,
  items: readonly PlanItem[],
  {
    wanted = { percent: 50 },
    keep = 0,
    deadline = Infinity,
    signal = new AbortController().signal
  }: {
    wanted?: FreeSpace
    keep?: number
    deadline?: number
    signal?: AbortSignal
  } = {}
) {
  const idsOf = (kind: Kind) =>
    items.filter((one) => one.kind === kind).map(({ id }) => id)
  const { found } = await inspectImages(docker, engine, idsOf('image'))
  const { found: volumes } = await inspectVolumes(docker, idsOf('volume'))
  const kinds = [...new Set(items.map(({ kind }) => kind))]
  const plan: Plan = {
    ...{ scope: '', items: [...items], unmatched: [] },
    removalOrder: kinds.map((kind) => ({ kind, ids: idsOf(kind) }))
  }
  const removal = await removeAll(plan, {
    ...{ docker, stream: noStream, concurrency: 4, deadline, signal },
    inventory: inventory({
      engine,
      images: found,
      volumes,
      services: undefined
    }),
    target: { ...target, wanted },
    cache: {
      ...{ builder: 'default', lookedAt: 0, until: 0, keep },
      configFolder: '/none'
    },
    listCache: () =>
      Promise.resolve([
        cacheRecord({ bytes: target.world.cache }),
        cacheRecord({ id: 'shared', bytes: 1_000, shared: true })
      ]),
    listedAt: 0,
    onResult: () => undefined,
    onFallback: () => undefined
  })
  const outcomes = Object.fromEntries(
    removal.results.map(({ item, outcome, reason }) => [
      item.id,
      reason ?? outcome
    ])
  )
  return { ...removal, outcomes }
}

const sized = (kind: Kind, id: string, bytes: number): PlanItem => ({
  ...item(kind, id),
  bytes
})
const cacheItem = item('build-cache', 'build-cache')
const numbered = (count: number, bytes: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`sha256:${index}`, bytes])
  )
const itemsOf = (kind: Kind, sizes: Record<string, number>) =>
  Object.entries(sizes).map(([id, bytes]) => sized(kind, id, bytes))
const batchesOf = ({ world }: Made) =>
  world.calls.map(([, ...ids]) => ids.length)

test('batches free half of what is missing, and the last one is a single item', async () => {
  const images = numbered(100, 1)
  const engine = makeEngine({ images, free: 10 })
  const { outcomes, results } = await run(engine, itemsOf('image', images))
  expect(batchesOf(engine)).toEqual([20, 10, 5, 2, 1, 1, 1])
  expect(engine.world.free[root]).toBe(50)
  const kept = Object.values(outcomes).filter((one) => one === 'target-reached')
  expect(kept).toHaveLength(60)
  expect(results.at(-1)).toMatchObject({
    detail: 'enough space is free; old',
    heldBy: 'until-free-above'
  })
})

test.each([
  ['less', 0.2, [12]],
  ['more', 30, [1, 1, 1, 1, 1]],
  ['an unknown size', undefined, [1, 1, 1, 1, 1]]
])('the disk decides where the plan expects %s', async (_, bytes, batches) => {
  const images = numbered(20, 1)
  const engine = makeEngine({ images, free: 45 })
  const planned = itemsOf('image', images).map((one) => ({ ...one, bytes }))
  await run(engine, planned)
  expect(batchesOf(engine)).toEqual(batches)
})

test.each([200, 2_900, 9_000])(
  'no more is removed than needed where freed space shows after %i ms',
  async (lag) => {
    const images = numbered(40, 2)
    const engine = makeEngine({ images, free: 10, lag })
    await run(engine, itemsOf('image', images))
    const { world } = engine
    const freed = 2 * batchesOf(engine).reduce((all, one) => all + one, 0)
    expect(world.free[root]).toBeGreaterThanOrEqual(50)
    // While a part is out of sight, a batch may be half of what seems to be missing.
    expect(freed).toBeLessThanOrEqual(lag > 3_000 ? 60 : 40)
    expect(world.time).toBeLessThan(60_000)
  }
)

test('where others fill the disk, it goes on after a while', async () => {
  const images = numbered(4, 10)
  const engine = makeEngine({
    ...{ images, free: 30 },
    onCall: (_, { free }) => {
      free[root] = (free[root] ?? 0) - 10
    }
  })
  const { outcomes } = await run(engine, itemsOf('image', images))
  expect(new Set(Object.values(outcomes))).toEqual(new Set(['removed']))
  expect(engine.world.time).toBeGreaterThan(3_000)
  expect(engine.world.time).toBeLessThan(100_000)
})

test('nothing more goes from a disk that can no longer be read', async () => {
  const images = numbered(20, 1)
  const engine = makeEngine({
    ...{ images, free: 10 },
    onCall: (_, { unreadable }) => unreadable.add(root)
  })
  const { outcomes } = await run(engine, itemsOf('image', images))
  expect(batchesOf(engine)).toEqual([20])
  const more = makeEngine({ images: numbered(50, 1), free: 10 })
  more.world.unreadable.add(root)
  const none = await run(more, itemsOf('image', numbered(50, 1)), {
    wanted: { bytes: 50 }
  })
  expect(more.world.calls).toEqual([])
  expect(new Set(Object.values(none.outcomes))).toEqual(
    new Set(['target-reached'])
  )
  expect(Object.values(outcomes)).toContain('removed')
})

test('each disk has its own end', async () => {
  const images = numbered(10, 10)
  const volumes = { data: 30, logs: 30, more: 30 }
  const engine = makeEngine({ images, volumes, split: true, free: 20 })
  const { outcomes } = await run(engine, [
    ...itemsOf('image', images),
    ...itemsOf('volume', volumes)
  ])
  expect(engine.world.free).toEqual({ [store]: 50, [root]: 50 })
  expect(outcomes).toMatchObject({
    ...{ 'sha256:2': 'removed', 'sha256:3': 'target-reached' },
    ...{ data: 'removed', logs: 'target-reached', more: 'target-reached' }
  })
})

test.each([
  [0, 0, '100'],
  [0, 120, '120'],
  [10, 0, '60'],
  [30, 0, '80']
])(
  'with %i bytes free and build-cache-keep: %i, %s bytes of the cache are left',
  async (free, keep, floor) => {
    const size = free === 0 ? 150 : 100
    const engine = makeEngine({ free, cache: size })
    const { results } = await run(engine, [cacheItem], { keep })
    expect(engine.world.calls).toEqual([
      expect.arrayContaining(['builder prune', '--keep-storage', floor])
    ])
    expect(results).toMatchObject([
      { outcome: 'removed', freed: size - Number(floor), detail: '1 record' }
    ])
  }
)

test('what images leave in the build cache is pruned, and all prunes are one outcome', async () => {
  const images = { 'sha256:a': 0, 'sha256:b': 0, 'sha256:c': 20 }
  const engine = makeEngine({
    ...{ images, free: 10, cache: 5 },
    // The cache keeps the data of an image.
    onCall: ([name, id], world) => {
      if (name === 'image rm' && id !== 'sha256:c') world.cache += 10
    }
  })
  const planned = itemsOf('image', images).map((one) => ({
    ...one,
    ...(one.id !== 'sha256:c' && { bytesAtMost: 10 })
  }))
  const { outcomes, results } = await run(engine, [cacheItem, ...planned], {
    wanted: { percent: 40 }
  })
  expect(engine.world.calls.map(([name]) => name)).toEqual([
    ...['builder prune', 'image rm', 'builder prune'],
    ...['image rm', 'builder prune', 'image rm']
  ])
  expect(outcomes).toMatchObject({ 'sha256:c': 'removed' })
  expect(results.at(-1)).toMatchObject({
    ...{ item: cacheItem, outcome: 'removed', freed: 25, detail: '3 records' },
    removedRecords: [expect.any(String), expect.any(String), expect.any(String)]
  })
})

test('a prune after the cache was left is reported', async () => {
  const images = { 'sha256:a': 0 }
  const engine = makeEngine({
    ...{ images, volumes: { data: 10 }, free: 50, cache: 10 },
    onCall: ([name], world) => {
      if (name === 'image rm') world.cache += 30
    }
  })
  // Somebody fills the disk once the cache was looked at.
  let reads = 0
  const { readSpace } = engine
  engine.readSpace = async (path) => {
    reads += 1
    if (reads === 2) engine.world.free[root] = 20
    return readSpace(path)
  }
  const image = { ...sized('image', 'sha256:a', 0), bytesAtMost: 30 }
  const { outcomes, results } = await run(engine, [cacheItem, image])
  expect(outcomes).toEqual({ 'sha256:a': 'removed', 'build-cache': 'removed' })
  expect(results.at(-1)).toMatchObject({ freed: 30 })
})

test('a cache that is not needed is left, and one without records is gone', async () => {
  const left = await run(makeEngine({ free: 60, cache: 10 }), [cacheItem])
  expect(left.outcomes).toEqual({ 'build-cache': 'target-reached' })
  const empty = await run(makeEngine({ free: 10 }), [cacheItem])
  expect(empty.outcomes).toEqual({ 'build-cache': 'gone' })
})

test('a cancel ends the wait for a late disk, and what was pruned is reported', async () => {
  const controller = new AbortController()
  const images = numbered(10, 10)
  const engine = makeEngine({
    ...{ images, free: 10, cache: 5, lag: 10_000 },
    onCall: ([name]) => {
      if (name === 'image rm') controller.abort()
    }
  })
  const { outcomes, results } = await run(
    engine,
    [cacheItem, ...itemsOf('image', images)],
    { signal: controller.signal }
  )
  expect(engine.world.time).toBeLessThan(3_100)
  expect(outcomes).toMatchObject({
    ...{ 'build-cache': 'removed', 'sha256:9': 'budget' }
  })
  expect(results.at(-1)?.detail).toBe('not removed: the run was cancelled')
})

test.each([
  ['reached', 1, 'budget', 'timeout'],
  ['not reached', 3, 'failed', undefined]
])(
  'a prune without an answer, with the timeout %s',
  async (_, deadline, outcome, heldBy) => {
    let now = 0
    jest.spyOn(Date, 'now').mockImplementation(() => now)
    const engine = makeEngine({
      ...{ free: 10, cache: 50 },
      onCall: () => {
        now = 2
        throw new DockerError('no-answer', { text: 'no answer' })
      }
    })
    const done = await run(engine, [cacheItem], { deadline })
    expect(done.outcomes).toEqual({ 'build-cache': outcome })
    expect(done.results[0]?.heldBy).toBe(heldBy)
    expect(done.fatal === undefined).toBe(outcome === 'budget')
  }
)
