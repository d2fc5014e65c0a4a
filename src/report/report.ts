import { freedWithBases, recordsLeftBehind } from '../accounting/cache.ts'
import { freedByImages, type ImageFigures } from '../accounting/freed.ts'
import { isBuilder } from '../model/builders.ts'
import type { Engine, Inventory } from '../model/inventory.ts'
import { isRunning, needsOf } from '../model/needs.ts'
import type { Removal, Result } from '../model/outcome.ts'
import {
  type Plan,
  type PlanItem,
  plannedItems,
  type Sizes
} from '../model/plan.ts'
import { usersOfNetwork, usersOfVolume } from '../model/users.ts'
import { inputThatHolds } from './heldBy.ts'
import { withMore } from './ownBytes.ts'
import type { Report, Resource } from './schema.ts'
import { sum } from '../units.ts'

export type ReportFacts = {
  engine: Engine
  inventory: Inventory
  plan: Pick<Plan, 'scope' | 'items'>
  sizes: Sizes
  /** Undefined in a dry run. */
  removal: Removal | undefined
  disks: Report['disks']
  startedAt: Date
  finishedAt: Date
}

export function makeReport(facts: ReportFacts): Report {
  const { engine, plan, removal } = facts
  const results = new Map(
    removal?.results.map((result) => [result.item, result])
  )
  const freed = freedInAll(facts)
  const busy = usedNow(facts.inventory)
  const resources = withMore(
    facts,
    plan.items.map((item) => ({
      ...(removal === undefined
        ? makePlanned(item)
        : makeDone(item, results.get(item), freed)),
      ...(busy.has(item.id) && { idle: 0 })
    }))
  )
  return {
    version: 1,
    dryRun: removal === undefined,
    scope: plan.scope,
    engine: {
      name: engine.name,
      id: engine.id,
      version: engine.version,
      store: engine.store
    },
    disks: facts.disks,
    startedAt: facts.startedAt.toISOString(),
    finishedAt: facts.finishedAt.toISOString(),
    resources,
    totals: makeTotals(facts, resources)
  }
}

/** What a running container is or needs, by ID, or by name: whatever its dates are, it is not idle. */
function usedNow({
  containers,
  images,
  networks,
  volumes
}: Inventory): Set<string> {
  // A builder that runs without a client is.
  const running = containers.filter((one) => isRunning(one) && !isBuilder(one))
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

function makeTotals(
  { plan, disks: [disk] }: ReportFacts,
  resources: readonly Resource[]
): Report['totals'] {
  const removed = resources.filter(({ outcome }) => outcome === 'removed')
  const number = (kind: Resource['kind']) =>
    removed.filter((one) => one.kind === kind).length
  const untagged = resources
    .filter(({ outcome }) => outcome !== 'planned')
    .map(({ removedReferences = [] }) => removedReferences.length)
  return {
    plannedBytes: sum(plannedItems(plan).map(({ bytes = 0 }) => bytes)),
    reclaimedBytes: sum(removed.map(({ bytes }) => bytes ?? 0)),
    removedContainers: number('container'),
    removedImages: number('image'),
    untaggedReferences: sum(untagged),
    removedNetworks: number('network'),
    removedVolumes: number('volume'),
    removedBuilders: number('builder'),
    failed: resources.filter(({ outcome }) => outcome === 'failed').length,
    freeBytesBefore: disk?.before.freeBytes ?? null,
    freeBytesAfter: disk?.after?.freeBytes ?? null,
    // Whether the build cache has anything to remove, only the builder knows for certain.
    skipped: resources.every(
      ({ kind, action, outcome }) =>
        action === 'keep' || (kind === 'build-cache' && outcome === 'gone')
    )
  }
}

/** What the images and the records of the build cache that went have freed. */
type FreedBytes = {
  images: Map<string, ImageFigures>
  /** Bytes that went with records of the cache, beyond what the builder tells. */
  withBases: number
  /** Records of base images went: what they held beyond their own sizes is not known exactly, or not at all. */
  basesWent: boolean
}

/** Counts in the order in which the images went: a layer goes with the last that had it, or stays with the cache. */
function freedInAll({ inventory, sizes, removal }: ReportFacts): FreedBytes {
  const { results = [], cacheAfter } = removal ?? {}
  const gone = results.filter(
    ({ item, outcome }) =>
      item.kind === 'image' && (outcome === 'removed' || outcome === 'gone')
  )
  const ids = gone.map(({ item }) => item.id)
  const { records } = inventory.buildCache
  const sharing = records?.filter(({ shared }) => shared)
  const left =
    sharing && cacheAfter ? recordsLeftBehind(sharing, cacheAfter) : sharing
  const { figures, cacheShare } = freedByImages(
    inventory,
    ids,
    sizes.layers,
    left
  )
  const pruned = new Set(
    results.flatMap(({ removedRecords = [] }) => removedRecords)
  )
  return {
    images: figures,
    withBases: freedWithBases(cacheShare, left ?? [], pruned),
    basesWent: records?.some(({ id, base }) => base && pruned.has(id)) ?? false
  }
}

function common(item: PlanItem) {
  const { kind, id, name, references, volume, decision, age } = item
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
    ...(heldBy !== undefined && { heldBy }),
    ...(eligibleFrom !== undefined && {
      eligibleFrom: new Date(eligibleFrom).toISOString()
    }),
    idle: age === 'unknown' ? null : age.idle
  }
}

function makePlanned(item: PlanItem): Resource {
  const { decision, bytes, bytesAtMost = 0, estimated } = item
  return {
    ...common(item),
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
  freed: FreedBytes
): Resource {
  const {
    outcome = 'kept',
    reason,
    detail,
    heldBy,
    removedReferences
  } = result ?? {}
  return {
    ...common(item),
    outcome,
    ...(reason && { reason }),
    ...(detail !== undefined && { detail }),
    ...(heldBy && { heldBy }),
    ...(outcome === 'removed' ? freedBy(item, result, freed) : { bytes: 0 }),
    ...(removedReferences && { removedReferences })
  }
}

function freedBy(
  { kind, id, bytes }: PlanItem,
  result: Result | undefined,
  { images, withBases, basesWent }: FreedBytes
): Pick<Resource, 'bytes' | 'estimated'> {
  if (kind === 'image') {
    const figure = images.get(id)
    return {
      bytes: figure?.bytes ?? null,
      ...(figure?.estimated && { estimated: true })
    }
  }
  if (kind !== 'build-cache') return { bytes: bytes ?? null }
  const told = result?.freed
  return told === undefined
    ? { bytes: null }
    : {
        bytes: Math.round(told + withBases),
        ...(basesWent && { estimated: true })
      }
}
