import { total } from '../accounting/cache.ts'
import { freedByRemoval, ownBytes } from '../accounting/layers.ts'
import type { InputName } from '../model/inputs.ts'
import type { Image, Inventory } from '../model/inventory.ts'
import type { Kind } from '../model/kinds.ts'
import type { Sizes } from '../model/plan.ts'
import { sum } from '../units.ts'
import { goes, isOnlyStopped, type Reason, type Resource } from './schema.ts'

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

/** The resources that one reason keeps, by one input or by none; or all that one input keeps. */
export type Held = {
  reason: Reason
  input: InputName | undefined
  resources: readonly Resource[]
  /** What the removal of all of them would free. */
  bytes: number
  /** Some of the bytes are unknown, and not counted. */
  unknown: boolean
  /** The longest idle time of them, in milliseconds; undefined if none is known. */
  idle: number | undefined
}

/**
 * Groups the kept resources by reason and input, largest first. Networks have no bytes; volumes and containers are not
 * measured in every run.
 */
export function heldBytes(
  inventory: Pick<Inventory, 'images'>,
  resources: readonly Resource[]
): Held[] {
  return groupHeld(
    inventory,
    resources,
    ({ reason, heldBy = '' }) => `${reason} ${heldBy}`
  )
}

/** The same by input alone. Shared layers make this more than the sum of its reasons. */
export function heldByInput(
  inventory: Pick<Inventory, 'images'>,
  resources: readonly Resource[]
): Held[] {
  return groupHeld(
    inventory,
    resources.filter(({ heldBy }) => heldBy !== undefined),
    ({ heldBy = '' }) => heldBy
  )
}

function groupHeld(
  inventory: Pick<Inventory, 'images'>,
  resources: readonly Resource[],
  keyOf: (resource: Resource) => string
): Held[] {
  const left = remainingImages(inventory, resources)
  const kept = resources.filter(
    (one) => one.outcome === 'kept' && !isOnlyStopped(one)
  )
  return [...Map.groupBy(kept, keyOf).values()]
    .flatMap((group) => makeHeld(group, left))
    .sort(
      (a, b) => b.bytes - a.bytes || b.resources.length - a.resources.length
    )
}

function makeHeld(group: readonly Resource[], left: readonly Image[]): Held[] {
  const [first] = group
  if (first === undefined) return []
  const ids = group.filter(({ kind }) => kind === 'image').map(({ id }) => id)
  const others = group.filter(({ kind }) => kind !== 'image')
  const freed = [...freedByRemoval(left, ids).values()]
  const idle = group.flatMap((one) => one.idle ?? [])
  return [
    {
      reason: first.reason,
      input: first.heldBy,
      resources: group,
      bytes:
        sum(freed.map(({ bytes }) => bytes)) +
        sum(others.map(({ ownBytes = 0 }) => ownBytes)),
      unknown:
        freed.some(({ estimated }) => estimated) ||
        others.some(
          ({ kind, ownBytes }) => kind !== 'network' && ownBytes === undefined
        ),
      idle: idle.length > 0 ? Math.max(...idle) : undefined
    }
  ]
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
