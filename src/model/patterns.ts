import type { Labels } from './inventory.ts'
import {
  hasRegistry,
  parseReference,
  type Reference,
  splitAt
} from './references.ts'

/** A label pattern of the input `protected-labels`: `key` or `key=value`, where `*` is any text. */
export type LabelPattern = { key: string; value: string | undefined }

/** A registry's IPv6 address, the only name with other characters. */
const ipv6 = /^\[[0-9a-f:.]+\](?=(?::\d+)?\/)/i

/** An image's ID, or at least 12 digits of it. */
const idPattern = /^(?:sha256:)?([0-9a-f]{12,64})$/i

/** The problem of a reference glob that can match no reference, and would protect nothing; else undefined. */
export function problemOfGlob(glob: string): string | undefined {
  if (idPattern.test(glob)) return undefined
  const plain = glob.replace(ipv6, 'registry')
  const bad = /[^A-Za-z0-9._:@/*?-]/.exec(plain)
  if (bad !== null) return `invalid character ${JSON.stringify(bad[0])}`
  const { repository, tag, digest } = parseReference(plain)
  const parts = repository.split('/')
  if (parts.includes('') || tag === '' || digest === '')
    return 'it has an empty part'
  if (parts.some((part) => part.includes('**') && part !== '**'))
    return '** must stand for whole parts between slashes'
  return problemOfName(parts) ?? problemOfTag(tag) ?? problemOfDigest(digest)
}

function problemOfName([first = '', ...rest]: readonly string[]):
  string | undefined {
  const [host = '', port] = splitAt(first, first.indexOf(':'))
  if (port !== undefined && !/^[\d*?]+$/.test(port))
    return 'a port must be a number'
  const odd = [rest.length > 0 ? host : first, ...rest].find((part) =>
    /^[._-]|[._-]$|\.\.|:/.test(part)
  )
  return odd === undefined
    ? undefined
    : `${JSON.stringify(odd)} is not a valid part of a repository name`
}

function problemOfTag(tag = ''): string | undefined {
  if (tag.includes(':')) return 'it has two colons'
  if (/^[.-]/.test(tag))
    return `tags cannot begin with ${JSON.stringify(tag[0])}`
  return tag.replace(/\*/g, '').length > 128
    ? 'tags cannot be longer than 128 characters'
    : undefined
}

function problemOfDigest(digest = '*'): string | undefined {
  return /^[a-z0-9._*?-]*(?::[0-9a-f*?]+)?$/i.test(digest) &&
    /[:*?]/.test(digest)
    ? undefined
    : 'a digest must look like sha256:4bc4…'
}

/** The two halves of a reference glob: far fewer repositories have to be compared than references. */
export type GlobHalves = {
  repository: (repository: string) => boolean
  version: (version: Pick<Reference, 'tag' | 'digest'>) => boolean
}

/**
 * Matches references with a glob. A glob without a tag, or with the tag `*`, means every tag and digest: `node:*` also
 * protects an image pinned by its digest. Case does not matter in the repository: `${{ github.repository }}` may have
 * upper case, which no registry accepts.
 */
export function referenceMatcher(glob: string): (reference: string) => boolean {
  const matches = halvesOf(glob)
  return (reference) => {
    const { repository, ...version } = parseReference(reference)
    return matches.version(version) && matches.repository(repository)
  }
}

/** As `referenceMatcher`. */
export function halvesOf(glob: string): GlobHalves {
  const { repository, tag, digest } = parseReference(glob)
  // `docker.io/**` means Docker Hub, which the familiar form leaves out.
  const onHub = /^(?:index\.)?docker\.io\//i.test(glob)
  const matchesPath = pathMatcher(repository.toLowerCase())
  const matchesTag = partMatcher(tag ?? '*')
  const matchesDigest = partMatcher(digest?.toLowerCase() ?? '*')
  return {
    repository: (name) =>
      (!onHub || !hasRegistry(name)) && matchesPath(name.toLowerCase()),
    version:
      digest === undefined
        ? ({ tag = '' }) => matchesTag(tag)
        : ({ digest }) => digest !== undefined && matchesDigest(digest)
  }
}

/** Matches the ID of an image with the start of one; undefined if the pattern is none. */
export function idMatcher(
  pattern: string
): ((id: string) => boolean) | undefined {
  const start = idPattern.exec(pattern)?.[1]?.toLowerCase()
  return start === undefined
    ? undefined
    : (id) => id.startsWith(start, id.startsWith('sha256:') ? 7 : 0)
}

/** Matches an image by its ID and all its names with a glob or the start of an ID. */
export function imageMatcher(
  pattern: string
): (id: string, names: readonly string[]) => boolean {
  const matchesName = referenceMatcher(pattern)
  const matchesId = idMatcher(pattern) ?? (() => false)
  return (id, names) => names.some(matchesName) || matchesId(id)
}

/** Matches a path part by part. `**` stands for any number of whole parts, at the end for at least one. */
function pathMatcher(glob: string): (path: string) => boolean {
  if (glob === '**') return () => true
  const parts = glob.split('/')
  const pattern = parts.at(-1) === '**' ? [...parts, '*'] : parts
  const matchers = new Map(pattern.map((part) => [part, partMatcher(part)]))
  return withPlainStart(glob, (path) =>
    matches(pattern, path.split('/'), {
      any: '**',
      one: (wanted, part) => matchers.get(wanted)?.(part) ?? false
    })
  )
}

/** Matches a name, a part of a path, or a tag. */
export function partMatcher(glob: string): (part: string) => boolean {
  if (!glob.includes('?')) return textMatcher(glob)
  return withPlainStart(glob, (part) =>
    matches(glob, part, {
      any: '*',
      one: (wanted, character) => wanted === '?' || wanted === character
    })
  )
}

/** Decides by the text before the first wildcard where that suffices: most texts match none of many globs. */
function withPlainStart(
  glob: string,
  matchesRest: (text: string) => boolean
): (text: string) => boolean {
  const [start = ''] = glob.split(/[*?]/)
  if (start === glob) return (text) => text === glob
  return (text) => text.startsWith(start) && matchesRest(text)
}

/**
 * Matches a sequence with a pattern in which `any` stands for any number of elements. Backtracks to the latest `any`
 * only: a regular expression with several would take minutes.
 */
function matches(
  pattern: ArrayLike<string>,
  sequence: ArrayLike<string>,
  { any, one }: { any: string; one: (wanted: string, got: string) => boolean }
): boolean {
  let next = 0
  let at = 0
  let retry: { next: number; at: number } | undefined
  while (at < sequence.length) {
    const wanted = pattern[next]
    const got = sequence[at] ?? ''
    if (wanted === any) {
      next += 1
      retry = { next, at }
    } else if (wanted !== undefined && one(wanted, got)) {
      next += 1
      at += 1
    } else if (retry === undefined) return false
    else {
      retry = { next: retry.next, at: retry.at + 1 }
      ;({ next, at } = retry)
    }
  }
  while (pattern[next] === any) next += 1
  return next === pattern.length
}

/** Reads `key` or `key=value`. Quotes and blanks are a problem: no shell removes them, and they match nothing. */
export function parseLabelPattern(
  text: string
): { value: LabelPattern } | { problem: string } {
  const [key = '', value] = splitAt(text, text.indexOf('='))
  if (key === '') return { problem: 'the key is missing' }
  if (/\s/.test(key) || /^\s/.test(value ?? ''))
    return { problem: 'remove the spaces in the key and around =' }
  return /["'`]/.test(key) || /^(["'`]).*\1$/.test(value ?? '')
    ? { problem: 'remove the quotes' }
    : { value: { key, value } }
}

/** Characters of a label's value that are read: tools write whole documents into labels. */
export const longestLabel = 4_096

/** Matches labels with a pattern. */
export function labelMatcher(
  pattern: LabelPattern
): (labels: Labels) => boolean {
  const { key, value } = labelHalves(pattern)
  return (labels) =>
    Object.entries(labels).some(([name, text]) => key(name) && value(text))
}

/**
 * The two halves of a label pattern. A value longer than `longestLabel` is only known by its start: `guess` says whether it
 * matches if it may.
 */
export function labelHalves(
  { key, value: wanted = '*' }: LabelPattern,
  guess = true
): {
  key: (key: string) => boolean
  value: (value: string) => boolean
} {
  const value = textMatcher(wanted)
  const [start = ''] = wanted.split('*')
  const mayMatch = (text: string) =>
    (guess
      ? wanted !== start || wanted.length > longestLabel
      : wanted === `${start}*` && start.length <= longestLabel) &&
    text.startsWith(start.slice(0, longestLabel))
  return {
    key: textMatcher(key),
    value: (text) => (text.length > longestLabel ? mayMatch(text) : value(text))
  }
}

/** Matches a text with a pattern in which `*` is any text. */
function textMatcher(pattern: string): (text: string) => boolean {
  if (pattern === '*') return () => true
  const [start = '', ...pieces] = pattern.split('*')
  const end = pieces.pop()
  if (end === undefined) return (text) => text === pattern
  return (text) => {
    const last = text.length - end.length
    if (last < start.length || !text.startsWith(start) || !text.endsWith(end))
      return false
    let at = start.length
    for (const piece of pieces) {
      const found = text.indexOf(piece, at)
      if (found < 0) return false
      at = found + piece.length
    }
    return at <= last
  }
}

export function describePattern({ key, value }: LabelPattern): string {
  return value === undefined ? key : `${key}=${value}`
}

/** The problem of a pattern of tags, or undefined. */
export function problemOfPattern(pattern: string): string | undefined {
  const parts = pattern.split('{number}')
  if (parts.length < 2) return '{number} is missing'
  if (parts.length > 2) return '{number} appears twice'
  const bad = /[^A-Za-z0-9._*?-]/.exec(parts.join(''))
  if (bad !== null) return `invalid character ${JSON.stringify(bad[0])}`
  if (/^[.-]/.test(pattern))
    return `tags cannot begin with ${JSON.stringify(pattern[0])}`
  return /\d\{|\}\d/.test(pattern)
    ? 'a digit next to {number} makes the number ambiguous'
    : undefined
}
