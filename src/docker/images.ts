import type { z } from 'zod'
import { countForOneCall, type Docker } from './cli.ts'
import {
  asJson,
  isAbout,
  isListed,
  namesInListing,
  readImageListing
} from './imageListing.ts'
import { type Inspected, inspectTwice } from './inspect.ts'
import { readSize } from './json.ts'
import { imageLs, printListing } from './listing.ts'
import { imageId, podmanAliases, podmanReferences } from './podman.ts'
import { imageSchema } from './schemas.ts'
import { traitsOf } from './traits.ts'
import { plausible } from '../model/dates.ts'
import type {
  Engine,
  Image,
  ImageFacts,
  Inventory,
  Unreadable
} from '../model/inventory.ts'
import { isTag } from '../model/references.ts'

/**
 * All images. One that an earlier run was told of is not asked for again, where that takes long and the listing shows
 * the same references; but for one without a date, of which the moment of its tags is all that there is.
 */
export async function listImages(
  docker: Docker,
  engine: Engine,
  facts: ReadonlyMap<string, ImageFacts>
): Promise<{ found: Image[]; unreadable: Unreadable[] }> {
  const { remembersImages } = traitsOf(engine)
  const options = remembersImages ? ['--all', '--digests'] : ['--all']
  const listed = readImageListing(
    await printListing(docker, [...imageLs, ...options, ...asJson])
  )
  const known = [...listed].flatMap(([id, lines]) => {
    const image = remembersImages ? facts.get(id)?.image : undefined
    const dated = plausible(image?.createdAt, engine.now) !== undefined
    return image && dated && isListed(image, lines, engine) ? [image] : []
  })
  const ids = new Set(known.map(({ id }) => id))
  const asked = [...listed.keys()].filter((id) => !ids.has(id))
  const { found, unreadable } = await inspectImages(docker, engine, asked)
  const sizeOf = (id: string) => readSize(listed.get(id)?.at(-1)?.Size ?? '')
  const sized = found.map((one) => withBytes(one, sizeOf(one.id), engine))
  return {
    found: [...known, ...sized],
    unreadable: unreadable.map((id) => {
      const { tags, digests } = namesInListing(listed.get(id) ?? [])
      const references = tags.length > 0 ? tags : digests
      return { kind: 'image', id, references: [...new Set(references)] }
    })
  }
}

/** The inventory with what the engine tells now of some of its images. */
export async function inspectAgain(
  docker: Docker,
  inventory: Inventory,
  images: readonly Image[]
): Promise<Inventory> {
  const { engine } = inventory
  const asked = new Map(images.map((image) => [image.id, image]))
  const { found, unreadable } = await inspectImages(docker, engine, [
    ...asked.keys()
  ])
  const others = inventory.images.filter(({ id }) => !asked.has(id))
  return {
    ...inventory,
    images: [
      ...others,
      ...found.map((one) => {
        const { bytes, packedBytes } = asked.get(one.id) ?? {}
        const sized = withBytes(one, bytes, engine)
        return packedBytes === undefined ? sized : { ...sized, packedBytes }
      })
    ],
    unreadable: [
      ...inventory.unreadable,
      ...unreadable.map((id) => ({
        kind: 'image' as const,
        id,
        references: asked.get(id)?.references ?? []
      }))
    ]
  }
}

/**
 * Inspects images by ID or reference. One that is damaged has no root filesystem (the containerd store leaves out
 * what it finds no blob of): its labels are not absent, but unknown.
 */
export async function inspectImages(
  docker: Docker,
  engine: Engine,
  names: readonly string[]
): Promise<Inspected<Image>> {
  const inspected = await inspectTwice(docker, 'image', names, imageSchema)
  const isWhole = ({ RootFS }: z.output<typeof imageSchema>) => RootFS?.Type
  const whole = inspected.found.filter(isWhole)
  const damaged = inspected.found.filter((raw) => !isWhole(raw))
  return {
    found: whole.map((raw) => readImage(raw, engine)),
    unreadable: [...inspected.unreadable, ...damaged.map(({ Id }) => Id)]
  }
}

function readImage(raw: z.output<typeof imageSchema>, engine: Engine): Image {
  const real = (reference: string) => !reference.includes('<none>')
  const tags = raw.RepoTags.filter(real)
  const digests = raw.RepoDigests.filter(real)
  const { digestsAreFromRegistries } = traitsOf(engine)
  const tagged = raw.Metadata?.LastTagTime
  const podman = engine.kind === 'podman'
  const references = podman
    ? podmanReferences(tags, digests)
    : digestsAreFromRegistries
      ? [...tags, ...digests]
      : // A digest that stands alone is listed among the tags there.
        tags
  return {
    id: raw.Id,
    references: [...new Set(references)],
    digests,
    aliases: podman ? podmanAliases(references) : [],
    parent: imageId(raw.Parent) || undefined,
    createdAt: raw.Created,
    // With SOURCE_DATE_EPOCH, BuildKit writes the date of the build there, too, on the containerd store.
    taggedAt: tagged === raw.Created ? undefined : tagged,
    labels: raw.Config?.Labels ?? {},
    bytes: raw.Size,
    layers: raw.RootFS?.Layers ?? [],
    pulled: podman || (digestsAreFromRegistries && digests.length > 0),
    byBuildKit: raw.Comment.startsWith('buildkit')
  }
}

/**
 * Those of some images that a listing of their tags shows as they were. An image that has got one more tag may be among
 * them: its removal by ID the engine refuses.
 */
export async function findUnchanged(
  docker: Docker,
  engine: Engine,
  images: readonly Image[]
): Promise<Image[]> {
  const filters = images.flatMap(({ references }) =>
    references
      .filter(isTag)
      .flatMap((reference) => ['--filter', `reference=${reference}`])
  )
  // What does not fit into one call is inspected.
  if (
    filters.length === 0 ||
    countForOneCall(filters, Infinity) < filters.length
  )
    return []
  const args = [...imageLs, '--digests', ...filters, ...asJson]
  const { exitCode, stdout } = await docker(args)
  // It fails where somebody removes one of them meanwhile.
  if (exitCode !== 0) return []
  const listed = readImageListing(stdout)
  return images.filter((image) =>
    isListed(image, listed.get(image.id) ?? [], engine)
  )
}

/**
 * Where layers are packed, the listing counts the unpacked ones as well. So does inspect from Docker 29 on; before, it
 * counts the packed ones alone, and says less than the listing of every image that is unpacked.
 */
function withBytes(
  image: Image,
  listed: number | undefined,
  engine: Engine
): Image {
  if (!traitsOf(engine).packedLayers) return image
  const { bytes } = image
  const more = listed !== undefined && listed > bytes && !isAbout(listed, bytes)
  return { ...image, bytes: more ? listed : bytes, packedBytes: bytes }
}
