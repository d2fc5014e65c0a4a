import { indexEvidence, type EvidenceIndex } from './evidence.ts'
import type { Engine, Image, Inventory } from './inventory.ts'
import {
  labelMatcher,
  referenceMatcher,
  type LabelPattern,
  type Labels
} from './match.ts'
import type { Policy } from './policy.ts'
import { rulesOf, type ScopeRules } from './scope.ts'

/** What every decision needs: the policy, the engine's clock, and the patterns made ready for use. */
export type Context = {
  policy: Policy
  now: number
  engine: Engine
  scope: ScopeRules
  evidence: EvidenceIndex
  /** The IDs of images that others were built on. */
  parents: ReadonlySet<string | undefined>
  /** Says which protected label is among these, or undefined. */
  protectedBy: (labels: Labels) => string | undefined
  /** Says which glob protects one of the references, or undefined. */
  protectedReference: (references: readonly string[]) => string | undefined
}

export function createContext(policy: Policy, inventory: Inventory): Context {
  const labels = policy.protectedLabels.map((pattern) => ({
    text: describePattern(pattern),
    matches: labelMatcher(pattern)
  }))
  const globs = policy.protectedImages.map((glob) => ({
    text: glob,
    matches: referenceMatcher(glob)
  }))
  return {
    policy,
    now: inventory.engine.now,
    engine: inventory.engine,
    scope: rulesOf(policy.scope, inventory),
    evidence: indexEvidence(inventory),
    parents: new Set(inventory.images.map(({ parent }) => parent)),
    protectedBy: (present) => {
      const found = labels.find(({ matches }) => matches(present))
      return found && `has the protected label ${found.text}`
    },
    protectedReference: (references) => {
      const found = globs.find(({ matches }) => references.some(matches))
      return found && `protected by ${found.text}`
    }
  }
}

/** A pattern of an input that matched nothing on the engine: perhaps a typo that protects nothing. */
export type Unmatched = {
  input: 'protected-labels' | 'protected-images'
  pattern: string
}

export function unmatchedPatterns(
  { containers, images, networks, volumes }: Inventory,
  policy: Policy
): Unmatched[] {
  const labelled = [...containers, ...images, ...networks, ...volumes]
  const references = images.flatMap(namesOf)
  return [
    ...policy.protectedLabels
      .filter((pattern) => {
        const matches = labelMatcher(pattern)
        return !labelled.some(({ labels }) => matches(labels))
      })
      .map(describePattern)
      .map((pattern) => ({ input: 'protected-labels' as const, pattern })),
    ...policy.protectedImages
      .filter((glob) => !references.some(referenceMatcher(glob)))
      .map((pattern) => ({ input: 'protected-images' as const, pattern }))
  ]
}

/** Everything that an image is known by: its references, digests that the store makes up from them, and aliases. */
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

function describePattern({ key, value }: LabelPattern): string {
  return value === undefined ? key : `${key}=${value}`
}
