import type { Labels } from '../../model/inventory.ts'
import { pathOf, repositoryOf } from '../../model/references.ts'

/** A repository on GitHub, in lower case: `acme/web`, `acme` and `web`. */
export type Repository = { path: string; owner: string; name: string }

export function parseRepository(text: string): Repository {
  const path = text.toLowerCase()
  const [owner = '', name = ''] = path.split('/')
  return { path, owner, name }
}

/**
 * Whether an image is from a repository: by its source label, or else by whole parts of the reference's path, as
 * another owner's `web` is not `acme/web`.
 */
export function isFrom(
  { path, owner, name }: Repository,
  reference: string,
  labels: Labels
): boolean {
  if (labels[sourceLabel]) return sourceOf(labels) === path
  const parts = pathOf(reference)
  // Below a registry, or where owner and name are the same, the first of several parts is an owner.
  const alone =
    parts.length === 1 ||
    (owner !== name && parts.join('/') === repositoryOf(reference))
  return (
    (parts[0] === name && alone) ||
    parts.some((part, index) => part === owner && parts[index + 1] === name)
  )
}

/** The path of the source label: `acme/web` of `https://github.com/acme/web.git` or `git@github.com:acme/web`. */
export function sourceOf(labels: Labels): string {
  const url = labels[sourceLabel] ?? ''
  const [address = ''] = url.trim().toLowerCase().split(/[?#]/)
  const path = address
    .replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*\//, '')
    .replace(/^(?:[^/@]+@)?[^/:@]+:/, '')
  const parts = path.split('/').filter(Boolean)
  return parts.join('/').replace(/\.git$/, '')
}

const sourceLabel = 'org.opencontainers.image.source'
