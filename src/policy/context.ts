import type { Engine, Image, Inventory, Labels } from '../model/inventory.ts'
import {
  describePattern,
  imageMatcher,
  labelMatcher
} from '../model/patterns.ts'
import type { Policy } from '../model/policy.ts'
import { namesOf } from '../model/references.ts'
import { type EvidenceIndex, indexEvidence } from './evidence.ts'
import type { ScopeRules } from './scope/rules.ts'
import { rulesOf } from './scope/scope.ts'

/** What every decision needs: the policy, the engine's clock, and the patterns made ready for use. */
export type Context = {
  policy: Policy
  now: number
  engine: Engine
  /** When the oldest job began that still runs; Infinity for none, undefined where nobody can see. */
  oldestJob: number | undefined
  scope: ScopeRules
  evidence: EvidenceIndex
  /** The IDs of images that others were built on. */
  parents: ReadonlySet<string | undefined>
  /** Says which protected label is among these, or undefined. */
  protectedBy: (labels: Labels) => string | undefined
  /** Says which glob or ID protects an image, or undefined. */
  protectedImage: (image: Image) => string | undefined
}

export function createContext(policy: Policy, inventory: Inventory): Context {
  const labels = policy.protectedLabels.map((pattern) => ({
    text: describePattern(pattern),
    matches: labelMatcher(pattern)
  }))
  const globs = policy.protectedImages.map((glob) => ({
    text: glob,
    matches: imageMatcher(glob)
  }))
  return {
    policy,
    now: inventory.engine.now,
    engine: inventory.engine,
    oldestJob: inventory.oldestJob,
    scope: rulesOf(policy.scope, inventory),
    evidence: indexEvidence(inventory),
    parents: new Set(inventory.images.map(({ parent }) => parent)),
    protectedBy: (present) => {
      const found = labels.find(({ matches }) => matches(present))
      return found && `has the protected label ${found.text}`
    },
    protectedImage: (image) => {
      const names = namesOf(image)
      const found = globs.find(({ matches }) => matches(image.id, names))
      return found && `protected by ${found.text}`
    }
  }
}
