import type { CacheRecord, Image } from '../model/inventory.ts'
import { sum } from '../units.ts'
import type { Freed } from './layers.ts'

/** The part of the bytes freed by images that the build cache holds as well. */
export type CacheShare = {
  /** Bytes by the ID of the image. */
  byImage: Map<string, number>
  /** How many of them are in records of base images. */
  byBases: number
  estimated: boolean
}

/**
 * Estimates the most that the build cache holds of what images would free. `records` are those shared with images; the
 * engine does not report with which. Undefined, not listed, they may hold everything.
 *
 * With a storage driver a record is the layer itself, and the record of a base image has no size of its own. On the
 * containerd store a record shares the packed layer, and the record of a base image the unpacked one as well.
 */
export function cacheShareOf(
  freed: ReadonlyMap<string, Freed>,
  images: readonly Image[],
  records: readonly CacheRecord[] | undefined
): CacheShare {
  const going = images.filter(({ id }) => (freed.get(id)?.bytes ?? 0) > 0)
  const parts = going.map(({ id, byBuildKit }) => ({
    ...{ id, byBuildKit, bytes: 0, layers: 0 },
    ...freed.get(id)
  }))
  if (records === undefined) {
    const all = parts.map(({ id, bytes }) => [id, bytes] as const)
    return { byImage: new Map(all), byBases: 0, estimated: true }
  }
  const packed = packedShare(going)
  const built = records.filter(({ base }) => !base)
  const ofBuilt = spread(
    { bytes: total(built) * (packed ?? 1), layers: Infinity },
    parts.filter(({ byBuildKit }) => byBuildKit)
  )
  const rests = parts.map(({ id, byBuildKit, bytes, layers }) => ({
    id,
    bytes: bytes - (ofBuilt.get(id) ?? 0),
    layers: layers - (byBuildKit ? built.length : 0)
  }))
  const bases = records.filter(({ base }) => base)
  const ofBases = spread(
    capacityOf(bases, packed),
    rests.toSorted((a, b) => b.bytes - a.bytes)
  )
  const byBases = sum([...ofBases.values()])
  return {
    byImage: addUp(ofBuilt, ofBases),
    byBases,
    estimated: byBases > 0 || packed !== undefined
  }
}

/** Finds the records that images shared and share no more: they keep what those images had. */
export function recordsLeftBehind(
  before: readonly CacheRecord[],
  after: readonly CacheRecord[]
): CacheRecord[] {
  const now = new Map(after.map((record) => [record.id, record]))
  return before.filter(
    ({ id, shared }) => shared && now.get(id)?.shared === false
  )
}

/**
 * The bytes that removed records free beyond their own sizes: the record of a base image holds more than its size.
 * `left` are the records that the images left behind, `removed` the IDs of the removed ones.
 */
export function freedWithBases(
  { byBases }: CacheShare,
  left: readonly CacheRecord[],
  removed: ReadonlySet<string>
): number {
  const bases = left.filter(({ base }) => base)
  const gone = bases.filter(({ id }) => removed.has(id))
  if (gone.length === 0) return 0
  const share = (byBases * gone.length) / bases.length
  return Math.max(share - total(gone), 0)
}

/** The bytes that shared records hold apart from the images: their own unpacked layers. */
export function ownOfShared(
  images: readonly Image[],
  records: readonly CacheRecord[]
): number {
  const packed = packedShare(images)
  const built = records.filter(({ base, shared }) => shared && !base)
  return packed === undefined ? 0 : Math.round(total(built) * (1 - packed))
}

/**
 * Finds the removed images whose history has to be read for their packed size, as records of the build cache may keep
 * their packed layers: those that BuildKit built. Without any, the others stand for their base images.
 */
export function imagesToSplit(
  images: readonly Image[],
  removed: readonly string[],
  records: readonly CacheRecord[] | undefined
): string[] {
  if (!records?.some(({ shared }) => shared)) return []
  const going = new Set(removed)
  const unsplit = images.filter((one) => going.has(one.id) && isUnsplit(one))
  const built = unsplit.filter(({ byBuildKit }) => byBuildKit)
  return (built.length > 0 ? built : unsplit).map(({ id }) => id)
}

/** Fills in packed sizes that were not known: bytes by the ID of the image. */
export function withPacked(
  images: readonly Image[],
  packed: ReadonlyMap<string, number>
): Image[] {
  return images.map((image) => {
    const packedBytes = packed.get(image.id)
    return packedBytes !== undefined && isUnsplit(image)
      ? { ...image, packedBytes }
      : image
  })
}

export function total(records: readonly CacheRecord[]): number {
  return sum(records.map(({ bytes }) => bytes))
}

type Amount = { bytes: number; layers: number }

/** The most that records of base images hold. With a storage driver they have no sizes: the layers alone are limited. */
function capacityOf(
  bases: readonly CacheRecord[],
  packed: number | undefined
): Amount {
  const bytes = packed === undefined ? Infinity : total(bases) / packed
  return { bytes, layers: bases.length }
}

/** Spreads bytes and layers over images, in order, until either is used up; returns each one's bytes by its ID. */
function spread(
  { bytes, layers }: Amount,
  images: readonly (Amount & { id: string })[]
): Map<string, number> {
  const shares = new Map<string, number>()
  for (const image of images) {
    if (layers <= 0) break
    const share = Math.min(image.bytes, bytes)
    shares.set(image.id, share)
    bytes -= share
    layers -= Math.max(image.layers, 1)
  }
  return shares
}

function addUp(
  some: ReadonlyMap<string, number>,
  more: ReadonlyMap<string, number>
): Map<string, number> {
  const all = new Map(some)
  for (const [id, bytes] of more) all.set(id, (all.get(id) ?? 0) + bytes)
  return all
}

/** How much of the images is packed layers, from those with a known packed size; undefined where the store has none. */
function packedShare(images: readonly Image[]): number | undefined {
  const split = images.filter((image) => !isUnsplit(image))
  const packed = sum(split.map(({ packedBytes = 0 }) => packedBytes))
  return packed > 0 ? packed / sum(split.map(({ bytes }) => bytes)) : undefined
}

/** An image whose packed size is not known counts as packed as a whole. */
function isUnsplit({ bytes, packedBytes = 0 }: Image): boolean {
  return packedBytes > 0 && packedBytes >= bytes
}
