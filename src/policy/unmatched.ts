import type { Inventory } from '../model/inventory.ts'
import {
  describePattern,
  imageMatcher,
  labelMatcher
} from '../model/patterns.ts'
import type { Unmatched } from '../model/plan.ts'
import type { Policy } from '../model/policy.ts'
import { namesOf } from '../model/references.ts'
import { findNearest, formsOf } from './nearest.ts'
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

function describe(
  input: Unmatched['input'],
  pattern: string,
  candidates: readonly string[],
  forms?: (candidate: string) => readonly string[]
): Unmatched {
  const name = findNearest(pattern, candidates, forms)
  return { input, pattern, ...(name && { nearest: { name, goes: true } }) }
}
