import {
  freedByItem,
  measureRemoval,
  type RemovalFigures
} from '../accounting/freed.ts'
import { isBusy } from '../model/builders.ts'
import type { Inventory } from '../model/inventory.ts'
import { needsOf } from '../model/needs.ts'
import type { Removal, Result } from '../model/outcome.ts'
import {
  isStoppedByRule,
  type Plan,
  type PlanItem,
  type Sizes
} from '../model/plan.ts'
import { usersOfNetwork, usersOfVolume } from '../model/users.ts'
import { inputThatHolds } from './heldBy.ts'
import { withOwnBytes } from './ownBytes.ts'
import type { Resource } from './schema.ts'

export type ResourceFacts = {
  inventory: Inventory
  plan: Pick<Plan, 'scope' | 'items'>
  sizes: Sizes
  /** Undefined in a dry run. */
  removal: Removal | undefined
}

export function makeResources(facts: ResourceFacts): Resource[] {
  const { inventory, sizes } = facts
  const used = usedNow(inventory)
  const digests = new Map(inventory.images.map((one) => [one.id, one.digests]))
  return withOwnBytes(facts, makeOutcomes(facts)).map((one) => {
    const { kind, id, action, bytes } = one
    const log = kind === 'container' && bytes ? sizes.logs.bytes.get(id) : 0
    const known = kind === 'image' && action === 'remove' ? digests.get(id) : []
    return {
      ...one,
      ...(used.has(id) && { idle: 0 }),
      ...(log && { logBytes: log }),
      ...(known?.length && { digests: known })
    }
  })
}

function makeOutcomes({
  inventory,
  plan,
  sizes,
  removal
}: ResourceFacts): Resource[] {
  if (removal === undefined) return plan.items.map(makePlanned)
  const results = new Map(removal.results.map((one) => [one.item, one]))
  const figures = measureRemoval(inventory, sizes.layers, removal)
  return plan.items.map((item) => makeDone(item, results.get(item), figures))
}

function makePlanned(item: PlanItem): Resource {
  const { decision, bytes, bytesAtMost = 0, estimated } = item
  return {
    ...common(item),
    ...(isStoppedByRule(item) && { stop: 'planned' }),
    outcome: decision.action === 'keep' ? 'kept' : 'planned',
    bytes: bytes ?? null,
    ...(bytesAtMost > (bytes ?? 0) && { bytesAtMost }),
    ...(estimated && { estimated }),
    ...(decision.action === 'untag' && {
      removedReferences: decision.removedReferences
    })
  }
}

function makeDone(
  item: PlanItem,
  result: Result | undefined,
  figures: RemovalFigures
): Resource {
  const {
    outcome = 'kept',
    reason,
    detail,
    heldBy,
    stopped,
    removedReferences
  } = result ?? {}
  return {
    ...common(item),
    outcome,
    ...(reason && { reason }),
    ...(detail !== undefined && { detail }),
    ...(heldBy && { heldBy }),
    ...(isStoppedByRule(item) &&
      (stopped || outcome === 'removed') && { stop: 'stopped' }),
    ...(outcome === 'removed'
      ? freedByItem(item, result, figures)
      : { bytes: 0 }),
    ...(removedReferences && { removedReferences })
  }
}

function common(item: PlanItem) {
  const { kind, id, name, references, volume, decision, idle } = item
  const heldBy = inputThatHolds(kind, decision)
  const { eligibleFrom } = { eligibleFrom: undefined, ...decision }
  return {
    kind,
    id,
    name,
    ...(references && { references }),
    ...(volume !== undefined && { volume }),
    action: decision.action,
    reason: decision.reason,
    detail: decision.detail,
    ...(decision.rule !== undefined && { rule: decision.rule }),
    ...(heldBy !== undefined && { heldBy }),
    ...(eligibleFrom !== undefined && {
      eligibleFrom: new Date(eligibleFrom).toISOString()
    }),
    idle: idle ?? null
  }
}

/** The running containers and all that they need, by ID or, for volumes, by name: none is idle, whatever its dates. */
function usedNow({
  containers,
  images,
  networks,
  volumes
}: Inventory): Set<string> {
  const running = containers.filter(isBusy)
  const needs = needsOf(running, { containers, images })
  const used = [
    ...networks.filter((one) => usersOfNetwork(one, needs).length > 0),
    ...running
  ]
  return new Set([
    ...used.map(({ id }) => id),
    ...volumes
      .filter((one) => usersOfVolume(one, needs).length > 0)
      .map(({ name }) => name),
    ...needs.images.keys(),
    ...needs.containers.keys()
  ])
}
