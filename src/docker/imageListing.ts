import { isDeepStrictEqual } from 'node:util'
import type { z } from 'zod'
import type { Engine, Image } from '../model/inventory.ts'
import { isTag } from '../model/references.ts'
import { readSize } from './json.ts'
import type { listedImageSchema } from './schemas.ts'
import { traitsOf } from './traits.ts'

type ListedImage = z.output<typeof listedImageSchema>

/** Printed where an image has no repository, tag or digest. */
export const none = '<none>'

/** The tags and digests in the lines of a listing. */
export function namesInListing(
  lines: readonly Pick<ListedImage, 'Repository' | 'Tag' | 'Digest'>[]
): { tags: string[]; digests: string[] } {
  const named = lines.filter(({ Repository }) => Repository !== none)
  return {
    tags: named
      .filter(({ Tag }) => Tag !== none)
      .map(({ Repository, Tag }) => `${Repository}:${Tag}`),
    digests: named
      .filter(({ Digest }) => Digest !== '' && Digest !== none)
      .map(({ Repository, Digest }) => `${Repository}@${Digest}`)
  }
}

/**
 * Whether the lines of a listing show an image unchanged: with the same tags and digests. A containerd store does not
 * list every digest, so there the listed ones have to be known, and the size has to be the same: it depends on what is
 * unpacked. The second look finds what this misses.
 */
export function isListed(
  { references, digests, bytes }: Image,
  lines: readonly ListedImage[],
  engine: Engine
): boolean {
  const { tags, digests: shown } = namesInListing(lines)
  const tagged = references.filter(isTag)
  const sameTags = isDeepStrictEqual(new Set(tags), new Set(tagged))
  const known = new Set(digests)
  const { digestsAreFromRegistries, packedLayers } = traitsOf(engine)
  return (
    lines.length > 0 &&
    sameTags &&
    (digestsAreFromRegistries
      ? isDeepStrictEqual(known, new Set(shown))
      : shown.every((one) => known.has(one))) &&
    (!packedLayers || lines.every(({ Size }) => isAbout(readSize(Size), bytes)))
  )
}

/** Whether a listed size, which has three digits, can be this one. */
export function isAbout(listed: number | undefined, bytes: number): boolean {
  return listed !== undefined && Math.abs(listed - bytes) <= bytes / 100
}
