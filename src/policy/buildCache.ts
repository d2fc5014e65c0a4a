import { formatDuration, formatSize } from '../units.ts'
import type { Context } from './context.ts'
import { keep, remove, type Decision } from './decision.ts'
import type { BuildCache, CacheRecord } from './inventory.ts'
import { untilDuration } from './policy.ts'

/** What a prune of the build cache would free: bytes, the certain and the possible. */
export type CachePlan = { decision: Decision; least: number; most: number }

/**
 * Decides the build cache as a whole: the builder itself picks the records, the least recently used first, and this
 * says what it will pick. A record that an image shares is passed over, unless that image goes first.
 */
export function decideBuildCache(
  cache: BuildCache,
  imagesGo: boolean,
  { policy, now }: Context
): CachePlan {
  const none = (decision: Decision) => ({ decision, least: 0, most: 0 })
  if (!policy.includeBuildCache)
    return none(keep('not-included', 'include-build-cache is false'))
  const until = untilDuration(policy, now)
  const { records } = cache
  if (records === undefined)
    return none(
      remove('expired', `${describe(until)}; the engine did not list them`)
    )
  if (records.length === 0) return none(keep('recent', 'it is empty'))
  const own = records.filter(prunable)
  const pool = imagesGo
    ? records.filter((record) => prunable({ ...record, shared: false }))
    : own
  const possible = pool.filter(({ idle }) => idle.most >= until)
  if (possible.length === 0)
    return none(
      keep('recent', `none of its ${records.length} records can go yet`)
    )
  const { buildCacheKeep } = policy
  const over = (size: number) =>
    buildCacheKeep === undefined ? size : Math.max(size - buildCacheKeep, 0)
  if (over(total(pool)) === 0 && buildCacheKeep !== undefined)
    return none(
      keep(
        'recent',
        `no more than build-cache-keep: ${formatSize(buildCacheKeep)}`
      )
    )
  const certain = own.filter(({ idle }) => idle.least >= until)
  return {
    decision: remove(
      'expired',
      `up to ${possible.length} of ${records.length} records, ${describe(until)}`
    ),
    least: Math.min(total(certain), over(total(own))),
    most: Math.min(total(possible), over(total(pool)))
  }
}

function describe(until: number): string {
  return until === 0
    ? 'whenever last used'
    : `last used at least ${formatDuration(until)} ago`
}

function prunable({ inUse, shared, internal }: CacheRecord): boolean {
  return !inUse && !shared && !internal
}

function total(records: readonly CacheRecord[]): number {
  return records.reduce((sum, { bytes }) => sum + bytes, 0)
}
