import type { CacheRecord, Inventory } from '../model/inventory.ts'
import type { Removal, Result } from '../model/outcome.ts'
import type { LayerSizes, PlanItem } from '../model/plan.ts'
import {
  type CacheShare,
  cacheShareOf,
  freedWithBases,
  recordsLeftBehind
} from './cache.ts'
import { freedByRemoval } from './layers.ts'

/** The bytes that the removal of one image frees: for certain, and at most, if the build cache holds none of it. */
export type ImageFigures = {
  bytes: number
  bytesAtMost: number
  estimated: boolean
}

/**
 * The bytes that the removal of images frees, in this order, by their IDs, and the part that the build cache keeps.
 * `sharing` are the records that it shares with images, undefined where it did not list them.
 */
export function freedByImages(
  { images }: Pick<Inventory, 'images'>,
  removed: readonly string[],
  layers: LayerSizes,
  sharing: readonly CacheRecord[] | undefined
): { figures: Map<string, ImageFigures>; cacheShare: CacheShare } {
  const freed = freedByRemoval(images, removed, layers)
  const cacheShare = cacheShareOf(freed, images, sharing)
  const figures = new Map(
    [...freed].map(([id, { bytes, estimated }]) => {
      const cached = cacheShare.byImage.get(id) ?? 0
      const figure = {
        bytes: Math.round(bytes - cached),
        bytesAtMost: bytes,
        estimated: estimated || (cached > 0 && cacheShare.estimated)
      }
      return [id, figure] as const
    })
  )
  return { figures, cacheShare }
}

export type RemovalFigures = {
  images: Map<string, ImageFigures>
  /** Bytes freed with records of the build cache, beyond what the builder reported. */
  withBases: number
  /** Records of base images were removed: they hold more than their sizes, so the figure is an estimate. */
  basesWent: boolean
}

/** Counts in the order of the removals: a layer goes with the last image that had it, or stays with the build cache. */
export function measureRemoval(
  inventory: Inventory,
  layers: LayerSizes,
  { results, cacheAfter }: Pick<Removal, 'results' | 'cacheAfter'>
): RemovalFigures {
  const gone = results.filter(
    ({ item, outcome }) =>
      item.kind === 'image' && (outcome === 'removed' || outcome === 'gone')
  )
  const ids = gone.map(({ item }) => item.id)
  const { records } = inventory.buildCache
  const sharing = records?.filter(({ shared }) => shared)
  const left =
    sharing && cacheAfter ? recordsLeftBehind(sharing, cacheAfter) : sharing
  const { figures, cacheShare } = freedByImages(inventory, ids, layers, left)
  const pruned = new Set(
    results.flatMap(({ removedRecords = [] }) => removedRecords)
  )
  return {
    images: figures,
    withBases: freedWithBases(cacheShare, left ?? [], pruned),
    basesWent: records?.some(({ id, base }) => base && pruned.has(id)) ?? false
  }
}

/** The bytes that the removal of one item freed; null where they are not known. */
export function freedByItem(
  { kind, id, bytes }: PlanItem,
  result: Result | undefined,
  { images, withBases, basesWent }: RemovalFigures
): { bytes: number | null; estimated?: true } {
  if (kind === 'image') {
    const figure = images.get(id)
    return {
      bytes: figure?.bytes ?? null,
      ...(figure?.estimated && { estimated: true })
    }
  }
  if (kind !== 'build-cache') return { bytes: bytes ?? null }
  const reported = result?.freed
  return reported === undefined
    ? { bytes: null }
    : {
        bytes: Math.round(reported + withBases),
        ...(basesWent && { estimated: true })
      }
}
