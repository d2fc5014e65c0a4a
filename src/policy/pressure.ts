import { ownBytes } from '../accounting/layers.ts'
import { keep } from '../model/decision.ts'
import { type Disk, type FreeSpace, isLow } from '../model/disks.ts'
import type { Inventory } from '../model/inventory.ts'
import { contentsOf, type Kind } from '../model/kinds.ts'
import { type Plan, type PlanItem, plannedItems } from '../model/plan.ts'
import { compareText } from '../words.ts'
import { needsAmong, type Ordered, orderRemovals } from './order.ts'

/** Keeps what frees no disk on which less than that is free. */
export function keepOnFreeDisks(
  plan: Plan,
  inventory: Ordered,
  disks: readonly Disk[],
  wanted: FreeSpace
): Plan {
  const low = new Set(
    disks
      .filter(({ before }) => isLow(before, wanted))
      .flatMap(({ holds }) => holds)
  )
  const items = plan.items.map((item) =>
    item.decision.action === 'keep' ||
    contentsOf(item.kind).some((content) => low.has(content))
      ? item
      : {
          ...item,
          bytes: 0,
          decision: keep('target-reached', 'enough space is free on this disk')
        }
  )
  return { ...plan, items, removalOrder: orderRemovals(items, inventory) }
}

/**
 * Orders the removals of a plan by what can be spared most easily, as a removal ends once enough space is free. What
 * needs something still goes before what it needs.
 */
export function orderUnderPressure(plan: Plan, inventory: Inventory): Plan {
  const own = ownBytes(inventory.images)
  const keyOf = (item: PlanItem) => ({
    item,
    place: placeOf(item),
    hours: hoursIdle(item),
    bytes: own.get(item.id) ?? 0
  })
  const sorted = plannedItems(plan)
    .map(keyOf)
    .sort(
      (a, b) =>
        a.place - b.place ||
        b.hours - a.hours ||
        b.bytes - a.bytes ||
        (b.item.idle ?? -1) - (a.item.idle ?? -1) ||
        compareText(a.item.id, b.item.id)
    )
    .map(({ item }) => item)
  return { ...plan, removalOrder: inSteps(sorted, needsAmong(inventory)) }
}

const places: Record<Kind, number> = {
  container: 0,
  network: 1,
  'build-cache': 3,
  builder: 4,
  image: 5,
  volume: 7
}

/** Untagging frees nothing. */
function placeOf({ kind, decision }: PlanItem): number {
  if (kind !== 'image') return places[kind]
  if (decision.action === 'untag') return 6
  return decision.reason === 'dangling' ? 2 : 5
}

/** Images that were used within the same hour count as equal. An unknown last use may be a late one. */
function hoursIdle({ kind, idle = -1 }: PlanItem): number {
  return kind === 'image' ? Math.floor(idle / 3_600_000) : 0
}

/** Puts what is needed after all that need it, as early as that allows, and groups neighbours of one kind. */
function inSteps(
  sorted: readonly PlanItem[],
  needs: ReadonlyMap<string, readonly string[]>
): Plan['removalOrder'] {
  const byId = new Map(sorted.map((item) => [item.id, item]))
  const needsOf = ({ id }: PlanItem) =>
    (needs.get(id) ?? []).flatMap((one) =>
      one === id ? [] : (byId.get(one) ?? [])
    )
  /** How many of those that need it are still to come. */
  const users = new Map<PlanItem, number>()
  for (const need of sorted.flatMap(needsOf))
    users.set(need, (users.get(need) ?? 0) + 1)
  const deferred = new Set<PlanItem>()
  const steps: { kind: Kind; ids: string[] }[] = []
  const neededByStep = new Set<PlanItem>()
  const add = (item: PlanItem) => {
    const { id, kind } = item
    const step = steps.at(-1)
    if (step?.kind === kind && !neededByStep.has(item)) step.ids.push(id)
    else {
      steps.push({ kind, ids: [id] })
      neededByStep.clear()
    }
    const needed = needsOf(item)
    for (const need of needed) {
      neededByStep.add(need)
      users.set(need, (users.get(need) ?? 0) - 1)
    }
    for (const need of needed)
      if (users.get(need) === 0 && deferred.delete(need)) add(need)
  }
  for (const item of sorted)
    if ((users.get(item) ?? 0) > 0) deferred.add(item)
    else add(item)
  // Cycles should not occur; if one does, the engine refuses.
  for (const item of sorted) if (deferred.delete(item)) add(item)
  return steps
}
