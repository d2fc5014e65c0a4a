import { freedByRemoval, ownBytes } from '../accounting/layers.ts'
import { sum } from '../units.ts'
import type { Image, Inventory } from '../model/inventory.ts'
import type { Kind } from '../model/kinds.ts'
import type { Sizes } from '../model/plan.ts'
import type { Reason, Resource } from './schema.ts'

/** Adds what is known beside the plan: what each one that stays holds alone, and what one that goes can be pulled by. */
export function withMore(
  { inventory, sizes }: { inventory: Inventory; sizes: Sizes },
  resources: readonly Resource[]
): Resource[] {
  const digests = new Map(inventory.images.map((one) => [one.id, one.digests]))
  const logs = sizes.logs.bytes
  const ofImages = ownBytes(leftImages(inventory, resources))
  const cached = (inventory.buildCache.records ?? []).filter(
    ({ shared }) => !shared
  )
  const own: Record<Kind, (id: string) => number | undefined> = {
    container: (id) => sizes.containers.get(id),
    builder: (id) => sizes.builders.get(id),
    network: () => undefined,
    image: (id) => ofImages.get(id),
    volume: (id) => sizes.volumes.get(id),
    // What an image shares counts with that image.
    'build-cache': () =>
      inventory.buildCache.records && sum(cached.map(({ bytes }) => bytes))
  }
  return resources.map((one) => {
    const held = one.outcome === 'kept' ? own[one.kind](one.id) : undefined
    const known = one.action === 'remove' ? (digests.get(one.id) ?? []) : []
    const log = one.kind === 'container' && one.bytes ? logs.get(one.id) : 0
    return {
      ...one,
      ...(held !== undefined && { ownBytes: held }),
      ...(log && { logBytes: log }),
      ...(one.kind === 'image' && known.length > 0 && { digests: known })
    }
  })
}

/** The images that are still there afterwards, or would be. */
function leftImages(
  { images }: Pick<Inventory, 'images'>,
  resources: readonly Resource[]
): Image[] {
  const gone = resources.filter(
    ({ kind, action, outcome }) =>
      kind === 'image' &&
      (outcome === 'removed' ||
        outcome === 'gone' ||
        (outcome === 'planned' && action === 'remove'))
  )
  const ids = new Set(gone.map(({ id }) => id))
  return images.filter(({ id }) => !ids.has(id))
}

/** What the removal of all that stays for a reason would free, in bytes; a part of it may be unknown. */
export type HeldBytes = ReadonlyMap<Reason, { bytes: number; unknown: boolean }>

/** Sums up what stays by its reason. Networks hold nothing; volumes and containers are not measured in every run. */
export function heldBytes(
  inventory: Pick<Inventory, 'images'>,
  resources: readonly Resource[]
): HeldBytes {
  const left = leftImages(inventory, resources)
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
