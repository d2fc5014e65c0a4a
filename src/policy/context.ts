import { isBusy } from '../model/builders.ts'
import {
  byKey,
  type Engine,
  type Image,
  type Inventory,
  type Labels,
  type Volume
} from '../model/inventory.ts'
import { needsOf } from '../model/needs.ts'
import {
  describePattern,
  imageMatcher,
  labelMatcher
} from '../model/patterns.ts'
import type { Policy } from '../model/policy.ts'
import { namesOf } from '../model/references.ts'
import { type EvidenceIndex, indexEvidence } from './evidence.ts'
import { type Limits, limitsOf } from './limits.ts'
import { createRuleFinder, type RuleFinder } from './rules.ts'
import type { ScopeRules } from './scope/rules.ts'
import { rulesOf } from './scope/scope.ts'

/** The facts that every decision needs, and the patterns compiled. */
export type Context = {
  policy: Policy
  limits: Limits
  rules: RuleFinder
  /** The engine's clock. */
  now: number
  engine: Engine
  oldestJob: Inventory['oldestJob']
  self: Inventory['self']
  volumes: ReadonlyMap<string, Volume>
  scope: ScopeRules
  evidence: EvidenceIndex
  /** IDs of images that running containers use. */
  running: ReadonlySet<string>
  /** IDs of images that others were built on. */
  parents: ReadonlySet<string | undefined>
  /** Names the protected label among these, in words. */
  protectedBy: (labels: Labels) => string | undefined
  /** Names the glob or ID that protects an image, in words. */
  protectedImage: (image: Image) => string | undefined
}

export function createContext(policy: Policy, inventory: Inventory): Context {
  const { engine, containers, images, oldestJob, self } = inventory
  const { now } = engine
  const labels = policy.protectedLabels.map((pattern) => ({
    text: describePattern(pattern),
    matches: labelMatcher(pattern)
  }))
  const globs = policy.protectedImages.map((glob) => ({
    text: glob,
    matches: imageMatcher(glob)
  }))
  return {
    ...{ policy, now, engine, oldestJob, self },
    volumes: byKey(inventory.volumes, ({ name }) => name),
    limits: limitsOf(policy, now),
    rules: createRuleFinder(policy),
    scope: rulesOf(policy.scope, inventory),
    evidence: indexEvidence(inventory),
    running: new Set(
      needsOf(containers.filter(isBusy), {
        containers,
        images
      }).images.keys()
    ),
    parents: new Set(images.map(({ parent }) => parent)),
    protectedBy: (present) => {
      const found = labels.find(({ matches }) => matches(present))
      return found && `has the protected label ${found.text}`
    },
    protectedImage: (image) => {
      const names = namesOf(image)
      const found = globs.find(({ matches }) => matches(image.id, names))
      return found && `matches ${found.text} in protected-images`
    }
  }
}
