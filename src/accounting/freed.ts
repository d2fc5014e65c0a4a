import type { CacheRecord, Inventory } from '../model/inventory.ts'
import type { LayerSizes } from '../model/plan.ts'
import { type CacheShare, cacheShareOf } from './cache.ts'
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
