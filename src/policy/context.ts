import {
  labelMatcher,
  referenceMatcher,
  type LabelPattern,
  type Labels
} from './match.ts'
import type { Policy } from './policy.ts'

/** What every decision needs: the policy, the engine's clock, and the patterns made ready for use. */
export type Context = {
  policy: Policy
  now: number
  /** Says which protected label is among these, or undefined. */
  protectedBy: (labels: Labels) => string | undefined
  /** Says which of the references is protected, or undefined. */
  protectedReference: (references: readonly string[]) => string | undefined
  /** Patterns that have matched nothing so far: perhaps a typo that protects nothing. */
  unmatched: () => string[]
}

export function createContext(policy: Policy, now: number): Context {
  const labels = policy.protectedLabels.map((pattern) => ({
    text: textOf(pattern),
    matches: labelMatcher(pattern)
  }))
  const references = policy.protectedImages.map((glob) => ({
    text: glob,
    matches: referenceMatcher(glob)
  }))
  const matched = new Set<string>()

  return {
    policy,
    now,
    protectedBy: (present) => {
      const found = labels.filter(({ matches }) => matches(present))
      for (const { text } of found) matched.add(text)
      return found[0] && `has the protected label ${found[0].text}`
    },
    protectedReference: (present) => {
      const found = references.filter(({ matches }) => present.some(matches))
      for (const { text } of found) matched.add(text)
      return found[0] && `protected by ${found[0].text}`
    },
    unmatched: () =>
      [...labels, ...references]
        .map(({ text }) => text)
        .filter((text) => !matched.has(text))
  }
}

function textOf({ key, value }: LabelPattern): string {
  return value === undefined ? key : `${key}=${value}`
}
