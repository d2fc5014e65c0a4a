import type { Inventory } from '../model/inventory.ts'
import { kindNames, kinds } from '../model/kinds.ts'
import { containerFinder } from '../model/needs.ts'
import type { PlanItem, RemovalStep } from '../model/plan.ts'

/** The parts of an inventory that need each other. */
export type Ordered = Pick<Inventory, 'containers' | 'images' | 'networks'>

/** Containers and builders share a phase, as each can need the other. */
const phases = [...Map.groupBy(kindNames, (kind) => kinds[kind].phase).values()]

/** Orders the removals of a plan: what needs something goes before what it needs. */
export function orderRemovals(
  items: readonly PlanItem[],
  inventory: Ordered
): RemovalStep[] {
  const planned = items.filter(({ decision }) => decision.action !== 'keep')
  return phases.flatMap((phase) => {
    const ofPhase = planned.filter(({ kind }) => phase.includes(kind))
    return inLevels(ofPhase, inventory).flatMap((level) =>
      phase.flatMap((kind) => {
        const ids = level.filter((one) => one.kind === kind).map(({ id }) => id)
        return ids.length > 0 ? [{ kind, ids }] : []
      })
    )
  })
}

/**
 * What each container, image and network needs, by ID: containers those that they name, images their parents, networks
 * those that they are configured from.
 */
export function needsAmong({
  containers,
  images,
  networks
}: Ordered): Map<string, readonly string[]> {
  const find = containerFinder(containers)
  const configs = new Map(networks.map(({ id, name }) => [name, id]))
  return new Map<string, readonly string[]>([
    ...containers.map((one) => [one.id, find(one)] as const),
    ...images.map(({ id, parent }) => [id, parent ? [parent] : []] as const),
    ...networks.map(
      ({ id, configFrom = '' }) =>
        [id, [configs.get(configFrom) ?? '']] as const
    )
  ])
}

/** Sorts items into levels that can go at once: what needs something before what it needs. */
function inLevels<T extends { id: string }>(
  items: readonly T[],
  inventory: Ordered
): T[][] {
  const needs = needsAmong(inventory)
  const levels: T[][] = []
  for (let left = [...items]; left.length > 0;) {
    const needed = new Set(left.flatMap(({ id }) => needs.get(id) ?? []))
    const free = left.filter(({ id }) => !needed.has(id))
    // Cycles should not occur; if one does, submit all and let the engine refuse.
    const level = free.length > 0 ? free : left
    levels.push(level)
    left = free.length > 0 ? left.filter(({ id }) => needed.has(id)) : []
  }
  return levels
}
