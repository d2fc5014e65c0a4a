import { type Builder, findBuilders, isBuilder } from '../model/builders.ts'
import { type Decided, keepUnreadable } from '../model/decision.ts'
import type { Image, Inventory, Unreadable } from '../model/inventory.ts'
import type { Kind } from '../model/kinds.ts'
import { isSwarmTask, type NeedsBoth, needsOf } from '../model/needs.ts'
import { buildCacheId, type Plan, type PlanItem } from '../model/plan.ts'
import { describeScope, type Policy } from '../model/policy.ts'
import type { Rule } from '../model/rules.ts'
import { compareText } from '../words.ts'
import { type CachePlan, decideBuildCache } from './buildCache.ts'
import { decideLeftStates, ruleOfBuilder } from './builders.ts'
import { decideContainers } from './containers.ts'
import { type Context, createContext } from './context.ts'
import { decideImages } from './images.ts'
import { decideNetworks } from './networks.ts'
import { orderRemovals } from './order.ts'
import type { ImageRules } from './rules.ts'
import { findUnmatched } from './unmatched.ts'
import { findUnmatchedRules } from './unmatchedRules.ts'
import { decideVolumes } from './volumes.ts'

/**
 * Decides every resource of the inventory, each exactly once. A pure function; the order of the inventory makes no
 * difference. `measurePlan` adds the bytes.
 */
export function makePlan(listed: Inventory, policy: Policy): Plan {
  const inventory = sortInventory(listed)
  const context = createContext(policy, inventory)
  const items = decideAll(inventory, context)
  const going = new Set(
    items
      .filter(({ decision }) => decision.action !== 'keep')
      .map(({ id }) => id)
  )
  return {
    scope: describeScope(policy.scope),
    items,
    removalOrder: orderRemovals(items, inventory),
    unmatched: [
      ...findUnmatched(inventory, policy, (id) => going.has(id)),
      ...findUnmatchedRules(inventory, items, context)
    ]
  }
}

function sortInventory(inventory: Inventory): Inventory {
  return {
    ...inventory,
    containers: sorted(inventory.containers, ({ name, id }) => name + id),
    networks: sorted(inventory.networks, ({ name, id }) => name + id),
    images: sorted(inventory.images, (image) => nameOf(image) + image.id),
    volumes: sorted(inventory.volumes, ({ name }) => name)
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

/** Containers first: those that stay need images, networks and volumes. */
function decideAll(inventory: Inventory, context: Context): PlanItem[] {
  const { containers, images, networks, volumes } = inventory
  const { rules } = context
  const builders = findBuilders(inventory)
  const ofContainers = decideContainers(containers, builders, context)
  const needs = needsUnder(inventory, ofContainers)
  const ofNetworks = decideNetworks(networks, needs, context)
  const ofImages = decideImages(images, needs.staying, context)
  const ofBuilders = new Map([
    ...ofContainers,
    ...decideLeftStates(statesLeft(builders), needs, context)
  ])
  const states = new Set(builders.map(({ volume }) => volume?.name))
  const others = volumes.filter(({ name }) => !states.has(name))
  const ofVolumes = decideVolumes(others, needs, context)
  const imagesGo = [...ofImages.values()].some(
    ({ decision }) => decision.action === 'remove'
  )
  return [
    ...containers
      .filter((one) => !isBuilder(one))
      .map((one) => ({
        ...makeItem('container', one, ofContainers),
        ...ruledBy(one.id, rules.ofNamed('container', one))
      })),
    ...builders.map((one) => ({
      ...makeItem('builder', one, ofBuilders),
      ...(one.volume && { volume: one.volume.name }),
      ...ruledBy(one.id, ruleOfBuilder(one, context))
    })),
    ...networks.map((one) => ({
      ...makeItem('network', one, ofNetworks),
      ...ruledBy(one.id, rules.ofNamed('network', one))
    })),
    ...images.map((one) => ({
      ...makeItem('image', { id: one.id, name: nameOf(one) }, ofImages),
      references: one.references,
      ...ruled(rules.ofImage(one))
    })),
    ...others.map((one) => ({
      ...makeItem('volume', { id: one.name, name: one.name }, ofVolumes),
      ...ruledBy(one.name, rules.ofNamed('volume', one))
    })),
    ...inventory.unreadable.map(makeUnreadableItem),
    makeCacheItem(decideBuildCache(inventory.buildCache, imagesGo, context))
  ]
}

function ruled(rules: ImageRules): Pick<PlanItem, 'ruled'> {
  const lines = [...rules].map(([key, { line }]) => [key, line] as const)
  return lines.length > 0 ? { ruled: new Map(lines) } : {}
}

function ruledBy(id: string, rule: Rule | undefined) {
  return ruled(new Map(rule ? [[id, rule]] : []))
}

function needsUnder(
  { containers, images, services }: Inventory,
  decided: ReadonlyMap<string, Decided>
): NeedsBoth {
  const staying = containers.filter(
    ({ id }) => decided.get(id)?.decision.action === 'keep'
  )
  const all = { containers, images }
  // Without a manager that lists the services, the tasks stand for them, even those that go.
  const tasks = services ?? containers.filter(isSwarmTask)
  return {
    staying: needsOf([...new Set([...staying, ...tasks])], all),
    all: needsOf(containers, all)
  }
}

function statesLeft(builders: readonly Builder[]) {
  return builders
    .filter(({ container }) => container === undefined)
    .flatMap(({ volume = [] }) => volume)
}

function makeItem(
  kind: Kind,
  { id, name }: { id: string; name: string },
  all: ReadonlyMap<string, Decided>
): PlanItem {
  const decided = all.get(id)
  if (decided === undefined) throw new Error(`no decision for ${kind} ${id}`)
  const { decision, idle } = decided
  return {
    ...{ kind, id, name, decision },
    idle,
    bytes: decision.action === 'remove' ? undefined : 0
  }
}

function makeUnreadableItem({ kind, id, references }: Unreadable): PlanItem {
  const name = references?.[0] ?? id
  return {
    ...{ kind, id, name, idle: undefined, bytes: 0 },
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
  return {
    kind: 'build-cache',
    id: buildCacheId,
    name: 'build cache',
    decision,
    idle: undefined,
    bytes: least,
    bytesAtMost: most,
    ...(estimated && { estimated })
  }
}
