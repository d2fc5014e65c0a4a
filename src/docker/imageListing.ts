import { isDeepStrictEqual } from 'node:util'
import type { z } from 'zod'
import { readJsonLines, readSize } from './json.ts'
import { listedImageSchema } from './schemas.ts'
import { traitsOf } from './traits.ts'
import type { Engine, Image } from '../model/inventory.ts'
import { isTag } from '../model/references.ts'

type ListedImage = z.output<typeof listedImageSchema>

export const asJson = ['--format', '{{json .}}']

/** The lines of a listing of images, by ID. */
export function readImageListing(stdout: string): Map<string, ListedImage[]> {
  return Map.groupBy(
    readJsonLines(stdout, listedImageSchema, 'image ls'),
    ({ ID }) => ID
  )
}

/** Whether a listing shows a size: it rounds to three digits. */
export function isAbout(listed: number | undefined, bytes: number): boolean {
  return listed !== undefined && Math.abs(listed - bytes) <= bytes / 100
}

/**
 * Tells whether the listing shows an image as it was: with the same tags and digests. Where it does not show every
 * digest, it shows no other one, and the same size, which depends on what is unpacked; what is wrong for all that, the
 * second look finds.
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

/** The tags of an image by its lines of a listing, and the digests, where that shows them. */
export function namesInListing(lines: readonly ListedImage[]) {
  const named = lines.filter(({ Repository }) => Repository !== noName)
  return {
    tags: named
      .filter(({ Tag }) => Tag !== noName)
      .map(({ Repository, Tag }) => `${Repository}:${Tag}`),
    digests: named
      .filter(({ Digest }) => Digest !== '' && Digest !== noName)
      .map(({ Repository, Digest }) => `${Repository}@${Digest}`)
  }
}

const noName = '<none>'
