import { z } from 'zod'
import type { Disk } from '../docker/disk.ts'
import type { Removal, Result } from '../docker/removal.ts'
import type { Engine, Inventory } from '../policy/inventory.ts'
import {
  freedByImages,
  kinds,
  plannedItems,
  type Plan,
  type PlanItem,
  type Sizes
} from '../policy/plan.ts'

const resourceSchema = z.object({
  kind: z.enum(kinds),
  id: z.string(),
  name: z.string(),
  /** Images only: every tag and digest that it had. */
  references: z.array(z.string()).optional(),
  action: z.enum(['keep', 'remove', 'untag']),
  outcome: z.enum(['kept', 'planned', 'removed', 'untagged', 'gone', 'failed']),
  reason: z.string(),
  detail: z.string(),
  /** What its removal freed, or would free in a dry run; null where that is not known. */
  bytes: z.number().nullable(),
  /** Where more may be freed than is certain: at most this. */
  bytesAtMost: z.number().optional(),
  /** Milliseconds since its last use, as far as known. */
  idle: z.number().nullable(),
  /** References that were, or are to be, taken off an image. */
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
  const { engine, plan, removal, disk } = facts
  const results = new Map(
    removal?.results.map((result) => [result.item, result])
  )
  const freed = freedBytesOf(facts)
  const resources = plan.items.map((item) =>
    makeResource(item, results.get(item), freed)
  )
  const removed = (kind: Resource['kind']) =>
    resources.filter((one) => one.kind === kind && one.outcome === 'removed')
      .length
  const nothingDone = resources.every(
    ({ kind, action, outcome }) =>
      action === 'keep' || (kind === 'build-cache' && outcome === 'gone')
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
    totals: {
      plannedBytes: sum(plannedItems(plan).map(({ bytes }) => bytes ?? 0)),
      reclaimedBytes: sum(
        resources
          .filter(({ outcome }) => outcome === 'removed')
          .map(({ bytes }) => bytes ?? 0)
      ),
      removedContainers: removed('container'),
      removedImages: removed('image'),
      untaggedReferences: sum(
        resources
          .filter(({ outcome }) => outcome !== 'planned')
          .map(({ removedReferences }) => removedReferences?.length ?? 0)
      ),
      removedNetworks: removed('network'),
      removedVolumes: removed('volume'),
      failed: resources.filter(({ outcome }) => outcome === 'failed').length,
      freeBytesBefore: disk.before?.free ?? null,
      freeBytesAfter: disk.after?.free ?? null,
      skipped: nothingDone
    }
  }
}

/** What the images that went have freed, in the order in which they went: a layer counts with the last that had it. */
function freedBytesOf({
  inventory,
  sizes,
  removal
}: ReportFacts): Map<string, number> {
  const gone = (removal?.results ?? []).filter(
    ({ item, outcome }) =>
      item.kind === 'image' && (outcome === 'removed' || outcome === 'gone')
  )
  const ids = gone.map(({ item }) => item.id)
  return freedByImages(inventory, ids, sizes.layers).certain
}

function makeResource(
  item: PlanItem,
  result: Result | undefined,
  freed: ReadonlyMap<string, number>
): Resource {
  const { kind, id, name, references, decision, idle } = item
  const outcome =
    result?.outcome ?? (decision.action === 'keep' ? 'kept' : 'planned')
  const planned = outcome === 'planned'
  const more = planned && (item.bytesAtMost ?? 0) > (item.bytes ?? 0)
  const untagged =
    result?.removedReferences ??
    (decision.action === 'untag' ? decision.removedReferences : undefined)
  return {
    kind,
    id,
    name,
    ...(references && { references }),
    action: decision.action,
    outcome,
    reason: result?.reason ?? decision.reason,
    detail: result?.detail ?? decision.detail,
    bytes: planned ? (item.bytes ?? null) : freedBy(item, result, freed),
    ...(more && { bytesAtMost: item.bytesAtMost }),
    idle: idle ?? null,
    ...(untagged && { removedReferences: untagged })
  }
}

function freedBy(
  { kind, id, bytes }: PlanItem,
  result: Result | undefined,
  freed: ReadonlyMap<string, number>
): number | null {
  if (result?.outcome !== 'removed') return 0
  if (kind === 'build-cache') return result.freed ?? null
  if (kind === 'image') return freed.get(id) ?? null
  return bytes ?? null
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
