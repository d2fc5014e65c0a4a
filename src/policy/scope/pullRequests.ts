import { keep, list, remove, type Decision } from '../../model/decision.ts'
import type { Container, Image, Inventory } from '../../model/inventory.ts'
import {
  parseReference,
  partMatcher,
  pathOf,
  repositoryOf,
  type Labels
} from '../../model/patterns.ts'
import type { ScopeRules } from './scope.ts'

/** The pull requests of one repository that a run is limited to. */
export type PullRequests = {
  kind: 'pull-request'
  /** As GitHub names it: `acme/web`. */
  repository: string
  /** Only what belongs to closed ones alone goes. */
  numbers: ReadonlyMap<number, PullRequestState>
  /** Globs of tags, each with `{number}` in it. */
  patterns: readonly string[]
}

export type PullRequestState = 'closed' | 'open' | 'unknown'

/** The largest number that GitHub can be asked for. */
export const largestNumber = 2 ** 31 - 1

/** No tag is longer. */
const longestTag = 128

const sourceLabel = 'org.opencontainers.image.source'
const versionLabel = 'org.opencontainers.image.version'
const projectLabel = 'com.docker.compose.project'

/** What compose writes on each container that it makes, and on no image. */
const ownMarks = [
  'com.docker.compose.container-number',
  'com.docker.compose.oneoff'
]

/** What is wrong with a pattern of tags, or undefined. */
export function problemOfPattern(pattern: string): string | undefined {
  const parts = pattern.split('{number}')
  if (parts.length < 2) return 'it has no {number}'
  if (parts.length > 2) return 'it has {number} twice'
  const bad = /[^A-Za-z0-9._*?-]/.exec(parts.join(''))
  if (bad !== null) return `it has ${JSON.stringify(bad[0])}`
  if (/^[.-]/.test(pattern))
    return `no tag begins with ${JSON.stringify(pattern[0])}`
  return /\d\{|\}\d/.test(pattern)
    ? 'a digit stands beside {number}'
    : undefined
}

/** The pull requests in words: `pull request 12 of acme/web`, `the closed ones of 3 pull requests of acme/web`. */
export function describePullRequests({
  repository,
  numbers
}: PullRequests): string {
  const [first, ...more] = numbers.keys()
  if (first === undefined) return `closed pull requests of ${repository}`
  return more.length === 0
    ? `pull request ${first} of ${repository}`
    : `the closed ones of ${numbers.size} pull requests of ${repository}`
}

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

const ofNone = () =>
  keep('out-of-scope', 'nothing tells which pull request it is of')

/** What belongs to several pull requests goes only when all of them are closed. */
export function pullRequestRules(
  scope: PullRequests,
  { images }: Inventory
): ScopeRules {
  const find = createFinder(images, scope)
  const ofThing = (
    { labels }: { labels: Labels },
    users: readonly Container[]
  ) =>
    judge(
      [
        ...find.ofProject(labels),
        // What another compose project made is that one's, whoever uses it.
        ...users
          .filter((user) =>
            [undefined, find.projectOf(user)].includes(labels[projectLabel])
          )
          .flatMap(find.ofContainer)
      ],
      scope
    )
  return {
    container: (container) => judge(find.ofContainer(container), scope),
    network: ofThing,
    volume: ofThing,
    image: (image) =>
      image.references.length === 0
        ? judge(find.ofImage(image), scope)
        : judgeReferences(
            image.references.map((reference) => ({
              reference,
              numbers: find.ofReference(image, reference)
            })),
            scope
          ),
    builder: ofNone,
    buildCache: ofNone
  }
}

function judge(found: readonly number[], scope: PullRequests): Decision {
  const numbers = [...new Set(found)].sort((a, b) => a - b)
  const whoseStateIs = (state: PullRequestState | undefined) =>
    numbers.filter((number) => scope.numbers.get(number) === state)
  const open = whoseStateIs('open')
  if (open.length > 0)
    return keep('pull-request-open', `it belongs to ${name(open)}: open`)
  const unknown = whoseStateIs('unknown')
  if (unknown.length > 0)
    return keep(
      'pull-request-unknown',
      `it belongs to ${name(unknown)}: whether closed, nobody could tell`
    )
  const others = whoseStateIs(undefined)
  if (others.length > 0)
    return keep('out-of-scope', `it belongs to ${name(others)}`)
  return numbers.length === 0
    ? keep(
        'out-of-scope',
        `it does not belong to ${describePullRequests(scope)}`
      )
    : remove('pull-request', `it belongs to ${name(numbers)}`)
}

function name(numbers: readonly number[]): string {
  return `pull request${numbers.length > 1 ? 's' : ''} ${list(numbers.map(String))}`
}

/** An image goes with all its references, or loses those that go. */
function judgeReferences(
  references: readonly { reference: string; numbers: readonly number[] }[],
  scope: PullRequests
): Decision {
  const judged = references.map((one) => ({
    ...one,
    decision: judge(one.numbers, scope)
  }))
  const going = judged.filter(({ decision }) => decision.action === 'remove')
  if (going.length === 0) {
    // What names a pull request says more than what does not.
    const kept = judged.map(({ decision }) => decision)
    return (
      kept.find(({ reason }) => reason !== 'out-of-scope') ??
      kept[0] ??
      judge([], scope)
    )
  }
  const { detail } = judge(
    going.flatMap(({ numbers }) => numbers),
    scope
  )
  return going.length === references.length
    ? remove('pull-request', detail)
    : {
        action: 'untag',
        reason: 'pull-request',
        detail,
        removedReferences: going.map(({ reference }) => reference)
      }
}

/** Finds the numbers of the pull requests of a repository that things belong to. */
function createFinder(
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

/** The globs of what stands before and after a number. */
type NumberGlob = { before: string; after: string }

function splitPattern(pattern: string): NumberGlob {
  const [before = '', after = ''] = pattern.split('{number}')
  return { before, after }
}

/** What of a pattern stands for the pull request alone, as it may stand in the name of a project. */
function withoutEnds({ before, after }: NumberGlob): NumberGlob {
  return {
    before: slug(before.replace(/^\*+[._-]?/, '')),
    after: slug(after.replace(/[._-]?\*+$/, ''))
  }
}

/** A name as it stands in that of a compose project, whatever its parts are joined with. */
function slug(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9*?]+/g, '-')
}

/** How a repository may be called there: Compose drops what it does not take (`Site.io` is `siteio`), others put a dash. */
function slugs(name: string): string[] {
  const composed = name.toLowerCase().replace(/[^a-z0-9_-]/g, '')
  const called = [name, composed].map((one) => slug(one).replace(/^-+/, ''))
  return [...new Set(called)]
}

/** Finds numbers by what stands around them. A number is all its digits: 1 is not in 12. */
function numberFinder(
  globs: readonly NumberGlob[]
): (text: string) => number[] {
  const matchers = globs.map(({ before, after }) => ({
    before: partMatcher(before),
    after: partMatcher(after)
  }))
  return (text) => {
    if (text.length > longestTag) return []
    return [...text.matchAll(/\d+/g)].flatMap(({ 0: digits, index }) => {
      const before = text.slice(0, index)
      const after = text.slice(index + digits.length)
      const found = matchers.some(
        (one) => one.before(before) && one.after(after)
      )
      const number = Number(digits)
      return found && !digits.startsWith('0') && number <= largestNumber
        ? [number]
        : []
    })
  }
}

/** `acme/web` of `https://github.com/acme/web.git` or `git@github.com:acme/web`, in lower case. */
function pathOfUrl(url: string): string {
  const [address = ''] = url.trim().toLowerCase().split(/[?#]/)
  const path = address
    .replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*\//, '')
    .replace(/^(?:[^/@]+@)?[^/:@]+:/, '')
  const parts = path.split('/').filter(Boolean)
  return parts.join('/').replace(/\.git$/, '')
}
