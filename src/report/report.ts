import { z } from 'zod'
import type { Disk } from '../docker/disk.ts'
import type { Removal, Result } from '../docker/removal.ts'
import { freedByRemoval } from '../policy/bytes.ts'
import { freedWithBases, recordsLeftBehind } from '../policy/cached.ts'
import { keepReasons, removeReasons, sum } from '../policy/decision.ts'
import type { Engine, Inventory } from '../policy/inventory.ts'
import {
  freedByImages,
  kinds,
  plannedItems,
  type Plan,
  type ImageFigures,
  type PlanItem,
  type Sizes
} from '../policy/plan.ts'

const reasons = [...keepReasons, ...removeReasons, 'changed', 'budget'] as const

export type Reason = (typeof reasons)[number]

const resourceSchema = z.object({
  kind: z.enum(kinds),
  id: z.string(),
  name: z.string(),
  /** Images only: every tag and digest that it had. */
  references: z.array(z.string()).optional(),
  action: z.enum(['keep', 'remove', 'untag']),
  outcome: z.enum(['kept', 'planned', 'removed', 'untagged', 'gone', 'failed']),
  reason: z.enum(reasons),
  detail: z.string(),
  /** What its removal freed, or would free in a dry run; null where that is not known. */
  bytes: z.number().nullable(),
  /** In a dry run, where more may be freed than is certain: at most this. */
  bytesAtMost: z.number().optional(),
  /** The figure of bytes may be somewhat off. */
  estimated: z.boolean().optional(),
  /** Milliseconds since its last use; null where nothing tells. */
  idle: z.number().nullable(),
  /** References that were taken off an image that is still there, or are to be in a dry run. */
  removedReferences: z.array(z.string()).optional()
})

/** The JSON report: the whole plan and what became of it. Sizes in bytes, times in RFC 3339. */
export const reportSchema = z.object({
  version: z.literal(1),
  dryRun: z.boolean(),
  engine: z.object({
    name: z.string(),
    id: z.string(),
    version: z.string(),
    store: z.string()
  }),
  startedAt: z.string(),
  finishedAt: z.string(),
  resources: z.array(resourceSchema),
  totals: z.object({
    plannedBytes: z.number(),
    reclaimedBytes: z.number(),
    removedContainers: z.number(),
    removedImages: z.number(),
    untaggedReferences: z.number(),
    removedNetworks: z.number(),
    removedVolumes: z.number(),
    failed: z.number(),
    freeBytesBefore: z.number().nullable(),
    freeBytesAfter: z.number().nullable(),
    /** Nothing had to be done. */
    skipped: z.boolean()
  })
})

export type Report = z.infer<typeof reportSchema>
export type Resource = z.infer<typeof resourceSchema>

export type ReportFacts = {
  engine: Engine
  inventory: Inventory
  plan: Plan
  sizes: Sizes
  /** Undefined in a dry run. */
  removal: Removal | undefined
  disk: { before: Disk | undefined; after: Disk | undefined }
  startedAt: Date
  finishedAt: Date
}

export function makeReport(facts: ReportFacts): Report {
  const { engine, plan, removal } = facts
  const results = new Map(
    removal?.results.map((result) => [result.item, result])
  )
  const freed = freedInAll(facts)
  const resources = plan.items.map((item) =>
    removal === undefined
      ? makePlanned(item)
      : makeDone(item, results.get(item), freed)
  )
  return {
    version: 1,
    dryRun: removal === undefined,
    engine: {
      name: engine.name,
      id: engine.id,
      version: engine.version,
      store: engine.store
    },
    startedAt: facts.startedAt.toISOString(),
    finishedAt: facts.finishedAt.toISOString(),
    resources,
    totals: makeTotals(facts, resources)
  }
}

function makeTotals(
  { plan, disk }: ReportFacts,
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
    failed: resources.filter(({ outcome }) => outcome === 'failed').length,
    freeBytesBefore: disk.before?.free ?? null,
    freeBytesAfter: disk.after?.free ?? null,
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
  const { figures, held } = freedByImages(inventory, ids, sizes.layers, left)
  const pruned = results.flatMap(({ removedRecords = [] }) => removedRecords)
  const withBases = freedWithBases(held, left ?? [], new Set(pruned))
  return { images: figures, withBases }
}

function common({ kind, id, name, references, decision, age }: PlanItem) {
  return {
    kind,
    id,
    name,
    ...(references && { references }),
    action: decision.action,
    reason: decision.reason,
    detail: decision.detail,
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
  const { outcome = 'kept', reason, detail, removedReferences } = result ?? {}
  return {
    ...common(item),
    outcome,
    ...(reason && { reason }),
    ...(detail !== undefined && { detail }),
    ...(outcome === 'removed' ? freedBy(item, result, freed) : { bytes: 0 }),
    ...(removedReferences && { removedReferences })
  }
}

function freedBy(
  { kind, id, bytes }: PlanItem,
  result: Result | undefined,
  { images, withBases }: FreedBytes
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
        ...(withBases > 0 && { estimated: true })
      }
}

/** What the removal of all images that stay for a reason would free, in bytes. */
export function heldBytes(
  { images }: Pick<Inventory, 'images'>,
  resources: readonly Resource[]
): Map<Reason, number> {
  const kept = resources.filter(
    ({ kind, outcome }) => kind === 'image' && outcome === 'kept'
  )
  return new Map(
    [...Map.groupBy(kept, ({ reason }) => reason)].map(([reason, group]) => {
      const ids = group.map(({ id }) => id)
      const freed = freedByRemoval(images, ids)
      return [reason, sum([...freed.values()].map(({ bytes }) => bytes))]
    })
  )
}
