import type { Age } from './age.ts'
import { decideBuildCache, type CachePlan } from './buildCache.ts'
import { decideLeftStates, findBuilders, isBuilder } from './builders.ts'
import { freedByRemoval, type LayerSizes } from '../accounting/layers.ts'
import { heldByCache, ownOfShared, type Held } from '../accounting/cache.ts'
import { decideContainers } from './containers.ts'
import { createContext } from './context.ts'
import {
  compareText,
  keepUnreadable,
  type Decided,
  type Decision
} from '../model/decision.ts'
import { decideImages } from './images.ts'
import type {
  CacheRecord,
  Image,
  Inventory,
  Unreadable
} from '../model/inventory.ts'
import { inLevels } from './order.ts'
import { isSwarmTask, needsOf } from '../model/needs.ts'
import { decideNetworks } from './networks.ts'
import type { Policy } from '../model/policy.ts'
import { describeScope } from './scope/scope.ts'
import { findUnmatched, type Unmatched } from './unmatched.ts'
import { decideVolumes } from './volumes.ts'

/** The kinds of resources, in the order in which they go: what goes frees what it needed. */
export const kinds = [
  'container',
  'builder',
  'network',
  'image',
  'volume',
  'build-cache'
] as const

export type Kind = (typeof kinds)[number]

/** One resource with what becomes of it. */
export type PlanItem = {
  kind: Kind
  id: string
  name: string
  references?: string[]
  /** Of a builder: the volume with its state, which goes with it. */
  volume?: string
  decision: Decision
  age: Age
  /** What its removal frees for certain; undefined where it is not known. 0 for what stays. */
  bytes: number | undefined
  /** What its removal may free, where that is more. */
  bytesAtMost?: number
  /** The figures may be somewhat off. */
  estimated?: boolean
}

export type Plan = {
  /** What it is limited to, in words. */
  scope: string
  items: PlanItem[]
  unmatched: Unmatched[]
}

/** The one resource that the build cache is: the builder itself picks its records. */
export const buildCacheId = 'build-cache'

/**
 * Decides every resource of the inventory, each exactly once. Depends on nothing but its arguments; the order of the
 * inventory makes no difference. Figures of bytes come with `measurePlan`.
 */
export function makePlan(inventory: Inventory, policy: Policy): Plan {
  const containers = sorted(inventory.containers, ({ name, id }) => name + id)
  const networks = sorted(inventory.networks, ({ name, id }) => name + id)
  const images = sorted(inventory.images, (image) => nameOf(image) + image.id)
  const volumes = sorted(inventory.volumes, ({ name }) => name)

  const context = createContext(policy, inventory)
  const builders = findBuilders({ containers, volumes })
  const ofContainers = decideContainers(containers, builders, context)
  const staying = containers.filter(
    ({ id }) => ofContainers.get(id)?.decision.action === 'keep'
  )
  const all = { containers, images }
  // Where no manager tells what the services of a swarm need, its tasks do, also those that go.
  const tasks = inventory.services ?? containers.filter(isSwarmTask)
  const needs = {
    staying: needsOf([...new Set([...staying, ...tasks])], all),
    all: needsOf(containers, all)
  }
  const ofNetworks = decideNetworks(networks, needs, context)
  const ofImages = decideImages(images, needs.staying, context)
  const left = builders.filter(({ container }) => container === undefined)
  const ofBuilders = new Map([
    ...ofContainers,
    ...decideLeftStates(
      left.flatMap(({ volume = [] }) => volume),
      needs,
      context
    )
  ])
  const states = new Set(builders.map(({ volume }) => volume?.name))
  const others = volumes.filter(({ name }) => !states.has(name))
  const ofVolumes = decideVolumes(others, needs, context)
  const imagesGo = [...ofImages.values()].some(
    ({ decision }) => decision.action === 'remove'
  )
  const ofCache = decideBuildCache(inventory.buildCache, imagesGo, context)

  const items = [
    ...containers
      .filter((one) => !isBuilder(one))
      .map((one) => makeItem('container', one, ofContainers)),
    ...builders.map(({ id, name, volume }) => ({
      ...makeItem('builder', { id, name }, ofBuilders),
      ...(volume && { volume: volume.name })
    })),
    ...networks.map((one) => makeItem('network', one, ofNetworks)),
    ...images.map((image) => ({
      ...makeItem('image', { id: image.id, name: nameOf(image) }, ofImages),
      references: image.references
    })),
    ...others.map(({ name }) =>
      makeItem('volume', { id: name, name }, ofVolumes)
    ),
    ...inventory.unreadable.map(makeUnreadableItem),
    makeCacheItem(ofCache)
  ]
  const going = new Set(
    items
      .filter(({ decision }) => decision.action !== 'keep')
      .map(({ id }) => id)
  )
  return {
    scope: describeScope(policy.scope),
    items,
    unmatched: findUnmatched(inventory, policy, (id) => going.has(id))
  }
}

function sorted<T>(items: readonly T[], key: (item: T) => string): T[] {
  return items
    .map((item) => ({ item, key: key(item) }))
    .sort((a, b) => compareText(a.key, b.key))
    .map(({ item }) => item)
}

function nameOf({ id, references }: Image): string {
  return references[0] ?? id
}

function makeItem(
  kind: Kind,
  { id, name }: { id: string; name: string },
  all: ReadonlyMap<string, Decided>
): PlanItem {
  const decided = all.get(id)
  if (decided === undefined) throw new Error(`no decision for ${kind} ${id}`)
  const bytes = decided.decision.action === 'remove' ? undefined : 0
  return { kind, id, name, ...decided, bytes }
}

function makeUnreadableItem({ kind, id, references }: Unreadable): PlanItem {
  const name = references?.[0] ?? id
  return {
    ...{ kind, id, name, age: 'unknown', bytes: 0 },
    ...(references && { references }),
    decision: keepUnreadable(kind, name)
  }
}

function makeCacheItem({
  decision,
  least,
  most,
  estimated
}: CachePlan): PlanItem {
  const item = { id: buildCacheId, name: 'build cache', decision }
  return {
    kind: 'build-cache',
    ...item,
    age: 'unknown',
    bytes: least,
    bytesAtMost: most,
    ...(estimated && { estimated })
  }
}

/** What of the plan is to go, or is to lose references. */
export function plannedItems(plan: Plan): PlanItem[] {
  return plan.items.filter(({ decision }) => decision.action !== 'keep')
}

/** Bytes by the ID of the container; unread: some container has a log of a size that cannot be read. */
export type LogSizes = { bytes: ReadonlyMap<string, number>; unread: boolean }

/** Figures that cost an extra call to the engine, in bytes by ID; what is missing is not known. */
export type Sizes = {
  /** With their logs. */
  containers: ReadonlyMap<string, number>
  logs: LogSizes
  volumes: ReadonlyMap<string, number>
  builders: ReadonlyMap<string, number>
  layers: LayerSizes
}

/** The plan with what each removal frees. */
export function measurePlan(
  plan: Plan,
  inventory: Inventory,
  sizes: Sizes
): Plan {
  const images = plan.items.filter(
    ({ kind, decision }) => kind === 'image' && decision.action === 'remove'
  )
  // In the order of the removal: a layer counts with the last image that has it.
  const order = inLevels(images, inventory).flat()
  const ids = order.map(({ id }) => id)
  const { records } = inventory.buildCache
  const sharing = records?.filter(({ shared }) => shared)
  const { figures } = freedByImages(inventory, ids, sizes.layers, sharing)
  const going = inventory.images.filter(({ id }) => figures.has(id))
  const measure: Record<Kind, (item: PlanItem) => Partial<PlanItem>> = {
    container: ({ id }) => ({ bytes: sizes.containers.get(id) }),
    builder: ({ id }) => ({ bytes: sizes.builders.get(id) }),
    network: () => ({ bytes: 0 }),
    image: ({ id }) => figures.get(id) ?? { bytes: 0 },
    volume: ({ id }) => ({ bytes: sizes.volumes.get(id) }),
    'build-cache': ({ bytesAtMost = 0 }) => ({
      bytesAtMost: bytesAtMost + ownOfShared(going, records ?? [])
    })
  }
  return {
    ...plan,
    items: plan.items.map((item) =>
      item.decision.action === 'remove'
        ? { ...item, ...measure[item.kind](item) }
        : item
    )
  }
}

/** What the removal of one image frees, in bytes: for certain, and at most, if the build cache has none of it. */
export type ImageFigures = {
  bytes: number
  bytesAtMost: number
  estimated: boolean
}

/**
 * What the removal of images frees, in this order, where the cache has the given records in common with them
 * (undefined: nobody knows which); and what these hold of it.
 */
export function freedByImages(
  { images }: Pick<Inventory, 'images'>,
  removed: readonly string[],
  layers: LayerSizes,
  sharing: readonly CacheRecord[] | undefined
): { figures: Map<string, ImageFigures>; held: Held } {
  const freed = freedByRemoval(images, removed, layers)
  const held = heldByCache(freed, images, sharing)
  const figures = new Map(
    [...freed].map(([id, { bytes, estimated }]) => {
      const cached = held.byImage.get(id) ?? 0
      const figure = {
        bytes: Math.round(bytes - cached),
        bytesAtMost: bytes,
        estimated: estimated || (cached > 0 && held.estimated)
      }
      return [id, figure] as const
    })
  )
  return { figures, held }
}
