import type { z } from 'zod'
import { plausible } from '../model/dates.ts'
import type {
  Engine,
  Image,
  ImageFacts,
  Inventory,
  Unreadable
} from '../model/inventory.ts'
import { isTag } from '../model/references.ts'
import { countForOneCall, type Docker } from './cli.ts'
import { isAbout, isListed, namesInListing, none } from './imageListing.ts'
import { type Inspected, inspectTwice } from './inspect.ts'
import { asJson, readJsonLines, readSize } from './json.ts'
import { imageLs, listJson } from './listing.ts'
import { imageId, podmanAliases, podmanReferences } from './podman.ts'
import { imageSchema, listedImageSchema } from './schemas.ts'
import { traitsOf } from './traits.ts'

type RawImage = z.output<typeof imageSchema>

/** All images. A remembered one is inspected again only if its listing has changed, or if only its tag time dates it. */
export async function listImages(
  docker: Docker,
  engine: Engine,
  facts: ReadonlyMap<string, ImageFacts>
): Promise<{ found: Image[]; unreadable: Unreadable[] }> {
  const { remembersImages } = traitsOf(engine)
  const options = remembersImages ? ['--all', '--digests'] : ['--all']
  const args = [...imageLs, ...options, ...asJson]
  const listed = byId(await listJson(docker, args, listedImageSchema))
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

export async function inspectImages(
  docker: Docker,
  engine: Engine,
  names: readonly string[]
): Promise<Inspected<Image>> {
  const inspected = await inspectTwice(docker, 'image', names, imageSchema)
  // The containerd store leaves out what it has no blob for, and then the labels of an image are unknown, not absent.
  const isWhole = ({ RootFS }: RawImage) => RootFS?.Type
  const whole = inspected.found.filter(isWhole)
  const damaged = inspected.found.filter((raw) => !isWhole(raw))
  return {
    found: whole.map((raw) => readImage(raw, engine)),
    unreadable: [...inspected.unreadable, ...damaged.map(({ Id }) => Id)]
  }
}

/** Images whose tags a listing shows unchanged. If one has gained a tag, the engine refuses to remove it by ID. */
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
  const fits = countForOneCall(filters, Infinity) === filters.length
  if (filters.length === 0 || !fits) return []
  const args = [...imageLs, '--digests', ...filters, ...asJson]
  const { exitCode, stdout } = await docker(args)
  // Fails if one of the images is removed meanwhile.
  if (exitCode !== 0) return []
  const listed = byId(readJsonLines(stdout, listedImageSchema, 'image ls'))
  return images.filter((image) =>
    isListed(image, listed.get(image.id) ?? [], engine)
  )
}

function byId<T extends { ID: string }>(lines: readonly T[]): Map<string, T[]> {
  return Map.groupBy(lines, ({ ID }) => ID)
}

function readImage(raw: RawImage, engine: Engine): Image {
  const real = (reference: string) => !reference.includes(none)
  const tags = raw.RepoTags.filter(real)
  const digests = raw.RepoDigests.filter(real)
  const { digestsAreFromRegistries } = traitsOf(engine)
  const tagged = raw.Metadata?.LastTagTime
  const podman = engine.kind === 'podman'
  const references = podman
    ? podmanReferences(tags, digests)
    : digestsAreFromRegistries
      ? [...tags, ...digests]
      : // The containerd store lists a digest without a tag among the tags.
        tags
  return {
    id: raw.Id,
    references: [...new Set(references)],
    digests,
    aliases: podman ? podmanAliases(references) : [],
    parent: imageId(raw.Parent) || undefined,
    createdAt: raw.Created,
    // With SOURCE_DATE_EPOCH, BuildKit writes that date here as well on the containerd store.
    taggedAt: tagged === raw.Created ? undefined : tagged,
    labels: raw.Config?.Labels ?? {},
    bytes: raw.Size,
    layers: raw.RootFS?.Layers ?? [],
    pulled: podman || (digestsAreFromRegistries && digests.length > 0),
    byBuildKit: raw.Comment.startsWith('buildkit')
  }
}

/** Before Docker 29, inspect counts only the packed layers of an unpacked image, and the listing both. */
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
