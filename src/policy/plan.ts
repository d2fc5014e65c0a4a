import { findBuilders, isBuilder } from '../model/builders.ts'
import { type Decided, keepUnreadable } from '../model/decision.ts'
import type { Image, Inventory, Unreadable } from '../model/inventory.ts'
import type { Kind } from '../model/kinds.ts'
import { isSwarmTask, needsOf } from '../model/needs.ts'
import { buildCacheId, type Plan, type PlanItem } from '../model/plan.ts'
import { describeScope, type Policy } from '../model/policy.ts'
import { type CachePlan, decideBuildCache } from './buildCache.ts'
import { decideLeftStates } from './builders.ts'
import { decideContainers } from './containers.ts'
import { createContext } from './context.ts'
import { decideImages } from './images.ts'
import { decideNetworks } from './networks.ts'
import { orderRemovals } from './order.ts'
import { findUnmatched } from './unmatched.ts'
import { decideVolumes } from './volumes.ts'
import { compareText } from '../words.ts'

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
    removalOrder: orderRemovals(items, inventory),
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
