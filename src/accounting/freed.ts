import { type CacheShare, cacheShareOf } from './cache.ts'
import { freedByRemoval } from './layers.ts'
import type { CacheRecord, Inventory } from '../model/inventory.ts'
import type { LayerSizes } from '../model/plan.ts'

/** What the removal of one image frees, in bytes: for certain, and at most, if the build cache has none of it. */
export type ImageFigures = {
  bytes: number
  bytesAtMost: number
  estimated: boolean
}

/**
 * What the removal of images frees, in this order, where the cache has the given records in common with them
 * (undefined: nobody knows which); and what these hold of it.
 */
export function freedByImages(
  { images }: Pick<Inventory, 'images'>,
  removed: readonly string[],
  layers: LayerSizes,
  sharing: readonly CacheRecord[] | undefined
): { figures: Map<string, ImageFigures>; held: CacheShare } {
  const freed = freedByRemoval(images, removed, layers)
  const held = cacheShareOf(freed, images, sharing)
  const figures = new Map(
    [...freed].map(([id, { bytes, estimated }]) => {
      const cached = held.byImage.get(id) ?? 0
      const figure = {
        bytes: Math.round(bytes - cached),
        bytesAtMost: bytes,
        estimated: estimated || (cached > 0 && held.estimated)
      }
      return [id, figure] as const
    })
  )
  return { figures, held }
}
