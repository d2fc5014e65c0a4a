import {
  byKey,
  type Container,
  type Image,
  type Inventory,
  type Labels
} from '../../model/inventory.ts'
import type { PullRequests } from '../../model/policy.ts'
import { parseReference, pathOf } from '../../model/references.ts'
import { projectLabel, projectOf } from './composeProject.ts'
import {
  type NumberFinder,
  numberFinder,
  projectGlobs,
  slug,
  slugs,
  splitPattern
} from './numberGlobs.ts'
import {
  isFrom,
  parseRepository,
  type Repository,
  sourceOf
} from './repository.ts'

/** Finds the numbers of all pull requests of a repository that something on the engine belongs to, in order. */
export function findNumbers(
  { containers, images, networks, volumes }: Inventory,
  repository: string,
  patterns: readonly string[]
): number[] {
  const search = createSearch(images, { repository, patterns })
  const found = [
    ...images.flatMap((image) =>
      image.references.length === 0
        ? numbersOfImage(image, search)
        : image.references.flatMap((one) =>
            numbersOfReference(one, image, search)
          )
    ),
    ...containers.flatMap((one) => numbersOfContainer(one, search)),
    ...[...networks, ...volumes].flatMap(({ labels }) =>
      numbersOfProject(labels, search)
    )
  ]
  return [...new Set(found)].sort((a, b) => a - b)
}

export type Search = {
  repository: Repository
  images: ReadonlyMap<string, Image>
  inTag: NumberFinder
  inProject: NumberFinder
  /** In a project with the owner in its name. */
  inOwnersProject: NumberFinder
}

export function createSearch(
  images: readonly Image[],
  { repository, patterns }: Pick<PullRequests, 'repository' | 'patterns'>
): Search {
  const ours = parseRepository(repository)
  const tags = patterns.map(splitPattern)
  const fullName = fullNameOf(ours)
  return {
    repository: ours,
    images: byKey(images, ({ id }) => id),
    inTag: numberFinder(tags),
    inProject: numberFinder(projectGlobs(tags, [ours.name, fullName])),
    inOwnersProject: numberFinder(projectGlobs(tags, [fullName]))
  }
}

/**
 * A tag belongs by itself, a digest with all tags of its repository. Labels count only where there is no tag, as they
 * may be inherited.
 */
export function numbersOfReference(
  reference: string,
  { references, labels }: Pick<Image, 'references' | 'labels'>,
  search: Search
): number[] {
  if (!isFrom(search.repository, reference, labels)) return []
  const { tag, repository } = parseReference(reference)
  if (tag !== undefined) return search.inTag(tag)
  const tags = references.map(parseReference).filter((one) => one.tag)
  if (tags.length === 0) return search.inTag(labels[versionLabel] ?? '')
  return ofAll(
    tags
      .filter((one) => one.repository === repository)
      .map((one) => search.inTag(one.tag ?? ''))
  )
}

/** An image belongs only if all its references do. */
export function numbersOfImage(image: Image, search: Search): number[] {
  return image.references.length > 0
    ? ofAll(
        image.references.map((one) => numbersOfReference(one, image, search))
      )
    : numbersOfReference('', image, search)
}

export function numbersOfContainer(
  container: Container,
  search: Search
): number[] {
  const project = slug(projectOf(container, search.images))
  const found = [
    ...numbersOfContainerImage(container, search),
    ...projectFinder(container, search)(project)
  ]
  // The image is not listed, so its project may be inherited: it can only add to the others.
  return found.length > 0 && !search.images.has(container.image)
    ? [...found, ...numbersOfProject(container.labels, search)]
    : found
}

export function numbersOfProject(labels: Labels, search: Search): number[] {
  return search.inProject(slug(labels[projectLabel] ?? ''))
}

const versionLabel = 'org.opencontainers.image.version'

function numbersOfContainerImage(
  { image, imageReference, labels }: Container,
  search: Search
): number[] {
  const { tag, digest } = parseReference(imageReference)
  if (isId(imageReference) || (tag === undefined && digest !== undefined)) {
    const known = search.images.get(image)
    return known === undefined ? [] : numbersOfImage(known, search)
  }
  return numbersOfReference(
    tag === undefined ? `${imageReference}:latest` : imageReference,
    { references: [imageReference], labels },
    search
  )
}

/**
 * The finder for the name of a container's project. Where the image has the number of another repository's pull
 * request, the project's number is that one's, too, unless the project has our owner in its name, and the other
 * repository has not.
 */
function projectFinder(
  { imageReference, labels }: Container,
  search: Search
): NumberFinder {
  const { tag = '' } = parseReference(imageReference)
  const isOurs = isFrom(search.repository, imageReference, labels)
  if (isOurs || search.inTag(tag).length === 0) return search.inProject
  const others = [...pathOf(imageReference), ...sourceOf(labels).split('/')]
  const names = new Set(others.flatMap(slugs))
  return slugs(fullNameOf(search.repository)).some((one) => names.has(one))
    ? () => []
    : search.inOwnersProject
}

function fullNameOf({ owner, name }: Repository): string {
  return `${owner}-${name}`
}

/** The numbers of all, if each has one. */
function ofAll(lists: readonly (readonly number[])[]): number[] {
  return lists.every(({ length }) => length > 0) ? lists.flat() : []
}

function isId(reference: string): boolean {
  return /^(?:sha256:)?[0-9a-f]{4,64}$/.test(reference)
}
