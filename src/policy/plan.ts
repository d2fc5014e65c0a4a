import { decideBuildCache } from './buildCache.ts'
import { freedBytes, withoutCached, type LayerSizes } from './bytes.ts'
import { ageOfContainer, decideContainers } from './containers.ts'
import { createContext } from './context.ts'
import type { Decision } from './decision.ts'
import { ageOfImage, decideImages } from './images.ts'
import type { Inventory } from './inventory.ts'
import { needsOf, usersOfNetwork, usersOfVolume } from './needs.ts'
import { ageOfNetwork, decideNetworks } from './networks.ts'
import type { Policy } from './policy.ts'
import { ageOfVolume, decideVolumes } from './volumes.ts'

/** The kinds of resources, in the order in which they go: what goes frees what it needed. */
export const kinds = [
  'container',
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
  decision: Decision
  /** Milliseconds since its last use; undefined where nothing tells. */
  idle: number | undefined
  /** What its removal frees for certain; undefined where it is not known. 0 for what stays. */
  bytes: number | undefined
  /** What its removal may free, where that is more. */
  bytesAtMost?: number
}

export type Plan = {
  items: PlanItem[]
  /** Patterns of the inputs that matched nothing on the engine. */
  unmatched: string[]
}

/** The one resource that the build cache is: the builder itself picks its records. */
export const buildCacheId = 'build-cache'

/**
 * Decides every resource of the inventory, each exactly once. Depends on nothing but its arguments; the order of the
 * inventory makes no difference. Figures of bytes come with `measurePlan`.
 */
export function makePlan(inventory: Inventory, policy: Policy): Plan {
  const { engine, containers, images, networks, volumes } = inventory
  const { now } = engine
  const context = createContext(policy, now)
  const ofContainers = decideContainers(containers, context)
  const staying = containers.filter(
    ({ id }) => ofContainers.get(id)?.action === 'keep'
  )
  const needs = {
    staying: needsOf(staying, inventory),
    all: needsOf(containers, inventory)
  }
  const ofNetworks = decideNetworks(networks, needs, context)
  const ofImages = decideImages(images, needs.staying, context)
  const ofVolumes = decideVolumes(volumes, needs, context)
  const imagesGo = [...ofImages.values()].some(isRemoval)
  const ofCache = decideBuildCache(inventory.buildCache, imagesGo, context)

  const items: PlanItem[] = [
    ...containers.map((container) =>
      item('container', container, ofContainers, ageOfContainer(container, now))
    ),
    ...networks.map((network) => {
      const onIt = usersOfNetwork(network, needs.all)
      return item(
        'network',
        network,
        ofNetworks,
        ageOfNetwork(network, onIt, now)
      )
    }),
    ...images.map((image) => {
      const { id, references } = image
      const name = references[0] ?? id
      const named = { id, name }
      return {
        ...item('image', named, ofImages, ageOfImage(image, now)),
        references
      }
    }),
    ...volumes.map((volume) => {
      const { name } = volume
      const mounting = usersOfVolume(volume, needs.all)
      const named = { id: name, name }
      return item(
        'volume',
        named,
        ofVolumes,
        ageOfVolume(volume, mounting, now)
      )
    }),
    {
      kind: 'build-cache',
      id: buildCacheId,
      name: 'build cache',
      decision: ofCache.decision,
      idle: undefined,
      bytes:
        inventory.buildCache.records === undefined ? undefined : ofCache.least,
      bytesAtMost: ofCache.most
    }
  ]
  return { items: items.sort(byKindAndName), unmatched: context.unmatched() }
}

function item(
  kind: Kind,
  { id, name }: { id: string; name: string },
  decisions: ReadonlyMap<string, Decision>,
  age: { idle: number } | 'unknown'
): PlanItem {
  const decision = decisions.get(id)
  if (decision === undefined) throw new Error(`no decision for ${kind} ${id}`)
  const idle = age === 'unknown' ? undefined : age.idle
  const bytes = decision.action === 'remove' ? undefined : 0
  return { kind, id, name, decision, idle, bytes }
}

function byKindAndName(a: PlanItem, b: PlanItem): number {
  return (
    kinds.indexOf(a.kind) - kinds.indexOf(b.kind) ||
    compare(a.name, b.name) ||
    compare(a.id, b.id)
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

function isRemoval({ action }: Decision): boolean {
  return action === 'remove'
}

/** What of the plan is to go, or is to lose references. */
export function plannedItems(plan: Plan): PlanItem[] {
  return plan.items.filter(({ decision }) => decision.action !== 'keep')
}

/** Figures that cost an extra call to the engine, in bytes by ID; what is missing is not known. */
export type Sizes = {
  containers: ReadonlyMap<string, number>
  volumes: ReadonlyMap<string, number>
  layers: LayerSizes
}

/** The plan with what each removal frees. */
export function measurePlan(
  plan: Plan,
  inventory: Inventory,
  sizes: Sizes
): Plan {
  const going = plan.items.filter(({ decision }) => isRemoval(decision))
  const images = freedByImages(
    inventory,
    going.filter(({ kind }) => kind === 'image').map(({ id }) => id),
    sizes.layers
  )
  return {
    ...plan,
    items: plan.items.map((planned) => {
      if (!isRemoval(planned.decision)) return planned
      if (planned.kind === 'container')
        return { ...planned, bytes: sizes.containers.get(planned.id) }
      if (planned.kind === 'volume')
        return { ...planned, bytes: sizes.volumes.get(planned.id) }
      if (planned.kind === 'network') return { ...planned, bytes: 0 }
      if (planned.kind === 'build-cache') return planned
      const { certain, possible } = images
      const bytesAtMost = possible.get(planned.id) ?? 0
      return { ...planned, bytes: certain.get(planned.id) ?? 0, bytesAtMost }
    })
  }
}

/** What the removal of images frees, in this order: for certain, and at most, if the build cache has none of it. */
export function freedByImages(
  { images, buildCache }: Inventory,
  removed: readonly string[],
  layers: LayerSizes
): { certain: Map<string, number>; possible: Map<string, number> } {
  const possible = freedBytes(images, removed, layers)
  const shared = (buildCache.records ?? []).filter(({ shared }) => shared)
  const sharedBytes = shared.reduce((sum, { bytes }) => sum + bytes, 0)
  return { certain: withoutCached(possible, images, sharedBytes), possible }
}
