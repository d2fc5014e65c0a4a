import { distance } from 'fastest-levenshtein'
import type { Inventory } from '../model/inventory.ts'
import {
  describePattern,
  imageMatcher,
  labelMatcher
} from '../model/patterns.ts'
import type { Unmatched } from '../model/plan.ts'
import type { Policy } from '../model/policy.ts'
import { namesOf, parseReference } from '../model/references.ts'
import { findNumbers } from './scope/pullRequestNumbers.ts'

/** Finds the patterns that match nothing; `goes` says by its ID whether a resource is to be removed. */
export function findUnmatched(
  inventory: Inventory,
  policy: Policy,
  goes: (id: string) => boolean
): Unmatched[] {
  const { containers, images, networks, volumes } = inventory
  const labelled = [
    ...containers,
    ...images,
    ...networks,
    ...volumes.map((volume) => ({ ...volume, id: volume.name }))
  ]
  const unlabelled = policy.protectedLabels.filter((pattern) => {
    const matches = labelMatcher(pattern)
    return !labelled.some(({ labels }) => matches(labels))
  })
  const unused = policy.protectedImages.filter((glob) => {
    const matches = imageMatcher(glob)
    return !images.some((image) => matches(image.id, namesOf(image)))
  })
  const going = labelled.filter(({ id }) => goes(id))
  const labels = going.flatMap(({ labels }) => Object.entries(labels))
  const references = images
    .filter(({ id }) => goes(id))
    .flatMap((one) => one.references)
  return [
    ...unlabelled.map((pattern) =>
      describe(
        'protected-labels',
        describePattern(pattern),
        labels.map(([key, value]) =>
          pattern.value === undefined ? key : `${key}=${value}`
        )
      )
    ),
    ...unused.map((glob) =>
      describe('protected-images', glob, references, formsOf(glob))
    ),
    ...unmatchedTags(inventory, policy)
  ]
}

function unmatchedTags(inventory: Inventory, { scope }: Policy): Unmatched[] {
  if (scope.kind !== 'pull-request') return []
  return scope.patterns
    .filter(
      (one) => findNumbers(inventory, scope.repository, [one]).length === 0
    )
    .map((pattern) => ({ input: 'pull-request-patterns', pattern }))
}

/** The share of characters that may differ. */
const nearEnough = 1 / 3

/** More names than that are not compared. */
const mostCandidates = 2_000

function describe(
  input: Unmatched['input'],
  pattern: string,
  candidates: readonly string[],
  forms: (candidate: string) => readonly string[] = (one) => [one]
): Unmatched {
  const text = withoutWildcards(pattern)
  const [nearest] = [...new Set(candidates)]
    .slice(0, mostCandidates)
    .map((name) => {
      const far = forms(name).map(
        (form) => distance(text, form) / Math.max(text.length, form.length, 1)
      )
      return { name, far: Math.min(...far) }
    })
    .filter(({ far }) => far <= nearEnough)
    .sort((a, b) => a.far - b.far)
  return { input, pattern, ...(nearest && { nearest: nearest.name }) }
}

/** The forms of a reference that a pattern may have meant: without its registry or owner, with a tag if the pattern has. */
function formsOf(glob: string): (reference: string) => string[] {
  const tagged = parseReference(glob).tag !== undefined
  return (reference) => {
    const { repository, tag = '' } = parseReference(reference)
    const parts = repository.split('/')
    return parts.flatMap((_, index) => {
      const path = parts.slice(index).join('/')
      return tagged ? [`${path}:${tag}`, `${path}:`] : [path]
    })
  }
}

function withoutWildcards(pattern: string): string {
  return pattern
    .toLowerCase()
    .replace(/[*?]+/g, '')
    .replace(/^\/+|\/+$/g, '')
}
