import { total } from '../accounting/cache.ts'
import { type Decision, keep, onlyKeep, remove } from '../model/decision.ts'
import type { BuildCache, CacheRecord } from '../model/inventory.ts'
import { formatDuration, formatSize } from '../units.ts'
import { count } from '../words.ts'
import type { Context } from './context.ts'

/** The decision, and what a prune frees in bytes: for certain (undefined if nothing says) and at most. */
export type CachePlan = {
  decision: Decision
  least: number | undefined
  most: number
  /** Records of base images may go, which hold more than their own size says. */
  estimated?: boolean
}

/**
 * Decides the build cache as a whole. The builder picks the records, least recently used first; this predicts its
 * choice. It passes over records that an image shares, unless that image goes first.
 */
export function decideBuildCache(
  { records }: BuildCache,
  imagesGo: boolean,
  context: Context
): CachePlan {
  const { until } = context.limits
  const excluded = keepOutside(context)
  if (excluded !== undefined) return stays(excluded)
  if (records === undefined) {
    const detail = `unknown number of records${describe(until)}`
    return { decision: remove('expired', detail), least: undefined, most: 0 }
  }
  const free = records.filter(({ inUse, internal }) => !inUse && !internal)
  const pool = free.filter(({ shared }) => imagesGo || !shared)
  const possible = pool.filter(({ idle }) => idle.most >= until)
  const kept = context.policy.buildCacheKeep
  if (possible.length === 0) return stays(keepYoung(records, pool))
  if (kept > 0 && total(pool) <= kept)
    return stays(
      keep(
        'recent',
        `within build-cache-keep: ${formatSize(kept)}`,
        'build-cache-keep'
      )
    )
  const number = `${possible.length} of ${count(records.length, 'record')}`
  const own = free.filter(({ shared }) => !shared)
  // A shared record counts with its image.
  const counted = possible.filter(({ shared }) => !shared)
  const all = records.filter(({ shared }) => imagesGo || !shared)
  return {
    decision: remove('expired', `up to ${number}${describe(until)}`),
    least: Math.min(
      total(certainOf(own, records, until)),
      Math.max(total(own) - kept, 0)
    ),
    most: kept > 0 ? mostBeyond(kept, counted, all) : total(counted),
    ...(counted.some(({ base }) => base) && { estimated: true })
  }
}

function stays(decision: Decision): CachePlan {
  return { decision, least: 0, most: 0 }
}

function keepOutside({ policy, scope }: Context): Decision | undefined {
  return (
    onlyKeep(scope.buildCache()) ??
    (policy.includeBuildCache
      ? undefined
      : keep('not-included', 'include-build-cache is false'))
  )
}

function keepYoung(
  records: readonly CacheRecord[],
  pool: readonly CacheRecord[]
): Decision {
  return keep(
    'recent',
    records.length === 0
      ? 'no build cache'
      : `${count(records.length, 'record')}, none of which can be removed yet`,
    pool.length === 0 ? null : undefined
  )
}

/** Milliseconds: without buildx, a prune counts whole seconds and passes over records used in the current one. */
const margin = 1_000

/** The records that the builder is certain to remove: old enough, and no parent of one that stays. */
function certainOf(
  own: readonly CacheRecord[],
  records: readonly CacheRecord[],
  until: number
): CacheRecord[] {
  return withoutParents(
    own.filter(
      ({ idle, rewritable }) => !rewritable && idle.least >= until + margin
    ),
    records
  )
}

/** The most that goes beyond a size that stays: the last record may be larger than what was left to free. */
function mostBeyond(
  kept: number,
  possible: readonly CacheRecord[],
  all: readonly CacheRecord[]
): number {
  const largest = possible.reduce((most, { bytes }) => Math.max(most, bytes), 0)
  return Math.min(total(possible), Math.max(total(all) - kept, 0) + largest)
}

/** Drops the records that one of the others was built on: the builder cannot remove these. */
function withoutParents(
  going: readonly CacheRecord[],
  records: readonly CacheRecord[]
): CacheRecord[] {
  const byId = new Map(records.map((record) => [record.id, record]))
  const held = new Set<CacheRecord>()
  const holdParents = ({ parents }: CacheRecord) => {
    for (const parent of parents.flatMap((id) => byId.get(id) ?? [])) {
      if (held.has(parent)) continue
      held.add(parent)
      holdParents(parent)
    }
  }
  const goes = new Set(going)
  records.filter((record) => !goes.has(record)).forEach(holdParents)
  return going.filter((record) => !held.has(record))
}

function describe(until: number): string {
  return until === 0 ? '' : `, last used at least ${formatDuration(until)} ago`
}
