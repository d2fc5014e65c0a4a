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

/** Whether the lines show an unchanged image. Containerd lists only some digests, so there the size must match, too. */
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
