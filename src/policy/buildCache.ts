import { total } from '../accounting/cache.ts'
import { type Decision, keep, onlyKeep, remove } from '../model/decision.ts'
import type { BuildCache, CacheRecord } from '../model/inventory.ts'
import type { Context } from './context.ts'
import { untilDuration } from './limits.ts'
import { formatDuration, formatSize } from '../units.ts'

/** What a prune of the build cache frees, in bytes: the certain (undefined where nothing tells) and the possible. */
export type CachePlan = {
  decision: Decision
  least: number | undefined
  most: number
  /** Records of base images may go: what they hold beyond their own sizes, nothing says. */
  estimated?: boolean
}

/**
 * Decides the build cache as a whole: the builder itself picks the records, the least recently used first, and this
 * says what it will pick. A record that an image shares is passed over, unless that image goes first.
 */
export function decideBuildCache(
  { records }: BuildCache,
  imagesGo: boolean,
  { policy, now, scope }: Context
): CachePlan {
  const until = untilDuration(policy, now)
  const stays = (decision: Decision) => ({ decision, least: 0, most: 0 })
  const scoped = onlyKeep(scope.buildCache())
  if (scoped !== undefined) return stays(scoped)
  if (!policy.includeBuildCache)
    return stays(keep('not-included', 'include-build-cache is false'))
  if (records === undefined) {
    const detail = `${describe(until)}; the engine did not list its records`
    return { decision: remove('expired', detail), least: undefined, most: 0 }
  }
  const own = records.filter(
    ({ inUse, internal, shared }) => !inUse && !internal && !shared
  )
  const pool = records.filter(
    ({ inUse, internal, shared }) =>
      !inUse && !internal && (imagesGo || !shared)
  )
  const possible = pool.filter(({ idle }) => idle.most >= until)
  const certain = withoutParents(
    own.filter(
      ({ idle, rewritable }) => !rewritable && idle.least >= until + margin
    ),
    records
  )
  if (possible.length === 0)
    return stays(
      keep(
        'recent',
        records.length === 0
          ? 'it is empty'
          : `none of its ${records.length} records can go yet`,
        pool.length === 0 ? null : undefined
      )
    )
  const kept = policy.buildCacheKeep
  if (kept > 0 && total(pool) <= kept)
    return stays(
      keep(
        'recent',
        `no more than build-cache-keep: ${formatSize(kept)}`,
        'build-cache-keep'
      )
    )
  const number = `${possible.length} of ${records.length} records`
  // What an image shares counts with that image.
  const counted = possible.filter(({ shared }) => !shared)
  const all = records.filter(({ shared }) => imagesGo || !shared)
  return {
    decision: remove('expired', `up to ${number}, ${describe(until)}`),
    least: Math.min(total(certain), Math.max(total(own) - kept, 0)),
    most: kept > 0 ? mostBeyond(kept, counted, all) : total(counted),
    ...(counted.some(({ base }) => base) && { estimated: true })
  }
}

/** What of some records goes at most for a size that stays: the last one may be larger than what was left to go. */
function mostBeyond(
  kept: number,
  possible: readonly CacheRecord[],
  all: readonly CacheRecord[]
): number {
  const largest = possible.reduce((most, { bytes }) => Math.max(most, bytes), 0)
  return Math.min(total(possible), Math.max(total(all) - kept, 0) + largest)
}

/** Milliseconds: without buildx, a prune counts in whole seconds and passes over what was used in the current one. */
const margin = 1_000

/** What of some records the builder can take: none that one of the others was built on. */
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
  return until === 0
    ? 'whenever last used'
    : `last used at least ${formatDuration(until)} ago`
}
