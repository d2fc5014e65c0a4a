import type { Freed } from './layers.ts'
import type { CacheRecord, Image } from '../model/inventory.ts'
import { sum } from '../units.ts'

/** What of the bytes that images would free the build cache holds as well. */
export type CacheShare = {
  /** Bytes by the ID of the image. */
  byImage: Map<string, number>
  /** Bytes of it that records of base images hold. */
  byBases: number
  /** Not all of it follows from what the engine tells. */
  estimated: boolean
}

/**
 * What the build cache keeps of images that go, given the records that share with them: of the layers that BuildKit built, and of those that it built on.
 * The engine does not tell which record shares with which image, so this is the most that the records can hold; where
 * it did not list them, everything.
 *
 * With a storage driver a record is the layer itself, and one of a base image has no size of its own. On the
 * containerd store a record has the packed layer in common with the image, and a base image its unpacked one as well.
 */
export function cacheShareOf(
  freed: ReadonlyMap<string, Freed>,
  images: readonly Image[],
  records: readonly CacheRecord[] | undefined
): CacheShare {
  const going = images.filter(({ id }) => (freed.get(id)?.bytes ?? 0) > 0)
  const byBuildKit = going.filter((image) => image.byBuildKit)
  if (records === undefined) {
    const all = going.map(({ id }) => [id, freed.get(id)?.bytes ?? 0] as const)
    return { byImage: new Map(all), byBases: 0, estimated: true }
  }
  const share = packedShare(going)
  const bases = records.filter(({ base }) => base)
  const built = records.filter(({ base }) => !base)
  const byImage = new Map<string, number>()
  const left = ({ id }: Image) =>
    (freed.get(id)?.bytes ?? 0) - (byImage.get(id) ?? 0)
  const hold = (image: Image, bytes: number) => {
    byImage.set(image.id, (byImage.get(image.id) ?? 0) + bytes)
  }

  let bytes = total(built) * (share ?? 1)
  for (const image of byBuildKit) {
    const held = Math.min(bytes, left(image))
    bytes -= held
    hold(image, held)
  }
  let byBases = 0
  let layers = bases.length
  let baseBytes = share === undefined ? Infinity : total(bases) / share
  for (const image of going.toSorted((a, b) => left(b) - left(a))) {
    if (layers <= 0) break
    const held = Math.min(left(image), baseBytes)
    const own = image.byBuildKit ? built.length : 0
    layers -= Math.max((freed.get(image.id)?.layers ?? 0) - own, 1)
    baseBytes -= held
    byBases += held
    hold(image, held)
  }
  const estimated = byBases > 0 || share !== undefined
  return { byImage, byBases, estimated }
}

/** The records that images shared, and now share no more: they keep what those images had. */
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
 * What the removal of records frees beyond their own sizes: a record of a base image keeps more than it tells, and
 * that goes with it. `left` are the records that the images left behind, `removed` the IDs of those that went.
 */
export function freedWithBases(
  { byBases }: CacheShare,
  left: readonly CacheRecord[],
  removed: ReadonlySet<string>
): number {
  const bases = left.filter(({ base }) => base)
  const gone = bases.filter(({ id }) => removed.has(id))
  if (gone.length === 0) return 0
  const held = (byBases * gone.length) / bases.length
  return Math.max(held - total(gone), 0)
}

/** What records hold apart from the images that share them, in bytes: their own unpacked layers. */
export function ownOfShared(
  images: readonly Image[],
  records: readonly CacheRecord[]
): number {
  const share = packedShare(images)
  const built = records.filter(({ base, shared }) => shared && !base)
  return share === undefined ? 0 : Math.round(total(built) * (1 - share))
}

/** How much of images is packed layers, by those of which that is known; undefined where the store has none. */
function packedShare(images: readonly Image[]): number | undefined {
  const split = images.filter((image) => !isUnsplit(image))
  const packed = sum(split.map(({ packedBytes = 0 }) => packedBytes))
  return packed > 0 ? packed / sum(split.map(({ bytes }) => bytes)) : undefined
}

/** Whether an image counts as packed as a whole. */
function isUnsplit({ bytes, packedBytes = 0 }: Image): boolean {
  return packedBytes > 0 && packedBytes >= bytes
}

/**
 * The images that go whose history has to be read to know how much of them is packed, as records of the build cache may
 * keep that. Those that BuildKit built are the ones in question; without any, the others stand for what it built on.
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

/** Images with how much of them is packed, in bytes by ID, where that was not known. */
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

/** The bytes of records. */
export function total(records: readonly CacheRecord[]): number {
  return sum(records.map(({ bytes }) => bytes))
}
