import type {
  Container,
  Image,
  Inventory,
  Labels
} from '../../model/inventory.ts'
import type { PullRequests } from '../../model/policy.ts'
import { parseReference, pathOf, repositoryOf } from '../../model/references.ts'
import {
  numberFinder,
  pathOfUrl,
  slug,
  slugs,
  splitPattern,
  withoutEnds
} from './numberGlobs.ts'

const sourceLabel = 'org.opencontainers.image.source'

const versionLabel = 'org.opencontainers.image.version'

export const projectLabel = 'com.docker.compose.project'

/** What compose writes on each container that it makes, and on no image. */
const ownMarks = [
  'com.docker.compose.container-number',
  'com.docker.compose.oneoff'
]

/** Every number of a pull request of the repository that something on the engine belongs to, in order. */
export function findNumbers(
  { containers, images, networks, volumes }: Inventory,
  repository: string,
  patterns: readonly string[]
): number[] {
  const find = createFinder(images, { repository, patterns })
  const found = [
    ...images.flatMap((image) =>
      image.references.length === 0
        ? find.ofImage(image)
        : image.references.flatMap((one) => find.ofReference(image, one))
    ),
    ...containers.flatMap(find.ofContainer),
    ...[...networks, ...volumes].flatMap(({ labels }) => find.ofProject(labels))
  ]
  return [...new Set(found)].sort((a, b) => a - b)
}

/** Finds the numbers of the pull requests of a repository that things belong to. */
export function createFinder(
  images: readonly Image[],
  { repository, patterns }: Pick<PullRequests, 'repository' | 'patterns'>
) {
  const byId = new Map(images.map((image) => [image.id, image]))
  const [owner = '', repositoryName = ''] = repository.toLowerCase().split('/')
  const globs = patterns.map(splitPattern)
  const ofTag = numberFinder(globs)
  const finderOf = (...names: string[]) =>
    numberFinder(
      globs.map(withoutEnds).flatMap(({ before, after }) =>
        names.flatMap(slugs).flatMap((one) => [
          { before: `${one}-${before}`, after },
          { before, after: `${after}-${one}` }
        ])
      )
    )
  const fullName = `${owner}-${repositoryName}`
  const ofFullName = finderOf(fullName)
  const ofName = finderOf(repositoryName, fullName)

  /** By what the label says, or else by whole parts of the path: another owner's `web` is not `acme/web`. */
  function isOurs(reference: string, labels: Labels): boolean {
    const source = labels[sourceLabel]
    if (source) return pathOfUrl(source) === repository.toLowerCase()
    const parts = pathOf(reference)
    // Below a registry, or where the owner is called the same, the first part of several is somebody's name.
    const alone =
      parts.length === 1 ||
      (owner !== repositoryName && parts.join('/') === repositoryOf(reference))
    return (
      (parts[0] === repositoryName && alone) ||
      parts.some(
        (part, index) => part === owner && parts[index + 1] === repositoryName
      )
    )
  }

  /** A tag by itself, a digest with all tags of its repository. Labels may be inherited: they count where no tag is. */
  function ofReference(
    { references, labels }: Pick<Image, 'references' | 'labels'>,
    reference: string
  ): number[] {
    if (!isOurs(reference, labels)) return []
    const { tag, repository } = parseReference(reference)
    if (tag !== undefined) return ofTag(tag)
    const tags = references.map(parseReference).filter((one) => one.tag)
    if (tags.length === 0) return ofTag(labels[versionLabel] ?? '')
    return ofAll(
      tags
        .filter((one) => one.repository === repository)
        .map((one) => ofTag(one.tag ?? ''))
    )
  }

  /** A whole image: only if all its references belong. */
  function ofImage(image: Image): number[] {
    return image.references.length > 0
      ? ofAll(image.references.map((one) => ofReference(image, one)))
      : ofReference(image, '')
  }

  function ofContainer(container: Container): number[] {
    const { image, imageReference, labels } = container
    const { tag, digest } = parseReference(imageReference)
    const known = byId.get(image)
    // Started by an ID or a digest, it says as much as the image does. A name by itself means `latest`.
    const byImage =
      isId(imageReference) || (tag === undefined && digest !== undefined)
        ? known && ofImage(known)
        : ofReference(
            { references: [imageReference], labels },
            tag === undefined ? `${imageReference}:latest` : imageReference
          )
    const project = projectOf(container)
    const found = [...(byImage ?? []), ...finderFor(container)(slug(project))]
    // Of an image that is not listed nobody knows whether the project is inherited: it counts as one more at the most.
    return found.length > 0 && !byId.has(image)
      ? [...found, ...ofProject(labels)]
      : found
  }

  /**
   * Finds the numbers in the name of a container's project. A number on another repository's image is that one's, but
   * where the project has our owner in its name, and that is not what the other one is called.
   */
  function finderFor({ imageReference, labels }: Container) {
    const { tag } = parseReference(imageReference)
    const others =
      !isOurs(imageReference, labels) && ofTag(tag ?? '').length > 0
    if (!others) return ofName
    const parts = [
      ...pathOf(imageReference),
      ...pathOfUrl(labels[sourceLabel] ?? '').split('/')
    ]
    const called = parts.flatMap(slugs)
    return slugs(fullName).some((one) => called.includes(one))
      ? () => []
      : ofFullName
  }

  /**
   * The compose project that made a container; empty for none. Compose labels the images that it builds with their
   * project as well, and what is started from these by other means inherits that. Of an image that is not listed only
   * the marks of containers tell.
   */
  function projectOf({ image, labels }: Container): string {
    const known = byId.get(image)
    const inherited = known?.labels ?? {}
    const marks = known ? [projectLabel, ...ownMarks] : ownMarks
    const own = marks.some((mark) => labels[mark] !== inherited[mark])
    return own ? (labels[projectLabel] ?? '') : ''
  }

  function ofProject(labels: Labels): number[] {
    return ofName(slug(labels[projectLabel] ?? ''))
  }

  return { ofReference, ofImage, ofContainer, ofProject, projectOf }
}

/** The numbers of all, if each has one. */
function ofAll(lists: readonly (readonly number[])[]): number[] {
  return lists.every(({ length }) => length > 0) ? lists.flat() : []
}

function isId(reference: string): boolean {
  return /^(?:sha256:)?[0-9a-f]{4,64}$/.test(reference)
}
