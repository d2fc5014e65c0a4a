import type { Image } from './inventory.ts'

/** The parts of a reference in Docker's familiar form (`docker.io/library/node:20` is repository `node`, tag `20`). */
export type Reference = {
  repository: string
  tag: string | undefined
  digest: string | undefined
}

/** Splits `repository:tag` or `repository@digest`; the registry may have a port. */
export function parseReference(reference: string): Reference {
  const [name = '', digest] = splitAt(reference, reference.indexOf('@'))
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1)
  const [repository = '', tag] = splitAt(name, colon)
  return { repository: familiar(repository), tag, digest }
}

/** Whether a reference is a tag: otherwise it is a digest. */
export function isTag(reference: string): boolean {
  return !reference.includes('@')
}

/** A reference without tag and digest, in Docker's familiar form. */
export function repositoryOf(reference: string): string {
  return parseReference(reference).repository
}

/** The parts of a reference's path, without the registry. */
export function pathOf(reference: string): string[] {
  const { repository } = parseReference(reference)
  return repository.split('/').slice(Number(hasRegistry(repository)))
}

/** Docker's own rule: a first part with a dot or a port, or `localhost`, is a registry. */
export function hasRegistry(repository: string): boolean {
  const [first = '', ...rest] = repository.split('/')
  return rest.length > 0 && /[.:]|^localhost$/.test(first)
}

export function splitAt(text: string, index: number): string[] {
  return index < 0 ? [text] : [text.slice(0, index), text.slice(index + 1)]
}

function familiar(repository: string): string {
  return (
    repository
      .replace(/^(?:index\.)?docker\.io\//i, '')
      // The glob of all official images: they have one part.
      .replace(/^library\/\*\*$/i, '*')
      .replace(/^library\/(?=[^/]+$)/i, '')
  )
}

/** A reference in a form that can be compared: familiar, with its tag or digest. */
export function canonical(reference: string): string {
  const { repository, tag, digest } = parseReference(reference)
  return digest === undefined
    ? `${repository}:${tag ?? 'latest'}`
    : `${repository}@${digest}`
}

/** All names of an image: references, digests that the store makes up, and aliases. */
export function namesOf({
  references,
  digests,
  aliases
}: Pick<Image, 'references' | 'digests' | 'aliases'>): readonly string[] {
  const others = [...digests, ...aliases]
  return others.length > 0
    ? [...new Set([...references, ...others])]
    : references
}
