import { total } from '../accounting/cache.ts'
import { freedByRemoval, ownBytes } from '../accounting/layers.ts'
import type { Image, Inventory } from '../model/inventory.ts'
import type { Kind } from '../model/kinds.ts'
import type { Sizes } from '../model/plan.ts'
import { sum } from '../units.ts'
import { goes, type Reason, type Resource } from './schema.ts'

/** Adds to each kept resource the bytes that it holds alone, where they are known. */
export function withOwnBytes(
  { inventory, sizes }: { inventory: Inventory; sizes: Sizes },
  resources: readonly Resource[]
): Resource[] {
  const { records } = inventory.buildCache
  const ofImages = ownBytes(remainingImages(inventory, resources))
  const own: Record<Kind, (id: string) => number | undefined> = {
    container: (id) => sizes.containers.get(id),
    builder: (id) => sizes.builders.get(id),
    network: () => undefined,
    image: (id) => ofImages.get(id),
    volume: (id) => sizes.volumes.get(id),
    // Shared bytes count with the image.
    'build-cache': () => records && total(records.filter((one) => !one.shared))
  }
  return resources.map((one) => {
    const bytes = one.outcome === 'kept' ? own[one.kind](one.id) : undefined
    return { ...one, ...(bytes !== undefined && { ownBytes: bytes }) }
  })
}

/** The bytes that the removal of all that stays for a reason would free; a part of them may be unknown. */
export type HeldBytes = ReadonlyMap<Reason, { bytes: number; unknown: boolean }>

/** Sums up what stays by its reason. Networks have no bytes; volumes and containers are not measured in every run. */
export function heldBytes(
  inventory: Pick<Inventory, 'images'>,
  resources: readonly Resource[]
): HeldBytes {
  const left = remainingImages(inventory, resources)
  const kept = resources.filter(({ outcome }) => outcome === 'kept')
  return new Map(
    [...Map.groupBy(kept, ({ reason }) => reason)].map(([reason, group]) => {
      const images = group.filter(({ kind }) => kind === 'image')
      const others = group.filter(({ kind }) => kind !== 'image')
      const freed = freedByRemoval(
        left,
        images.map(({ id }) => id)
      )
      const own = others.map(({ ownBytes = 0 }) => ownBytes)
      const bytes = [...freed.values()].map((one) => one.bytes)
      const unknown = others.some(
        ({ kind, ownBytes }) => kind !== 'network' && ownBytes === undefined
      )
      return [reason, { bytes: sum([...bytes, ...own]), unknown }]
    })
  )
}

function remainingImages(
  { images }: Pick<Inventory, 'images'>,
  resources: readonly Resource[]
): Image[] {
  const gone = resources.filter(
    (one) => one.kind === 'image' && (goes(one) || one.outcome === 'gone')
  )
  const ids = new Set(gone.map(({ id }) => id))
  return images.filter(({ id }) => !ids.has(id))
}
