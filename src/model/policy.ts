import type { LabelPattern } from './patterns.ts'
import type { Scope } from '../policy/scope/scope.ts'

/** What the inputs ask for, as plain data. Sizes in bytes, durations and instants in milliseconds. */
export type Policy = {
  scope: Scope
  keepLast: number
  /** What idle counts from: the latest evidence of use, or Docker's own `Created` alone. */
  ageFrom: 'last-used' | 'created'
  /** How long a resource must have been idle to go; or the instant since which it must have been. */
  until: { duration: number } | { time: number }
  protectedLabels: LabelPattern[]
  /** Reference globs, see `referenceMatcher`. */
  protectedImages: string[]
  includeContainers: boolean
  includeImages: boolean | 'dangling'
  includeNetworks: boolean
  includeVolumes: 'none' | 'anonymous' | 'all'
  includeBuilders: 'none' | 'stopped' | 'all'
  includeBuildCache: boolean
  /** 0: none of the build cache is kept for its size. */
  buildCacheKeep: number
}

/** How long a resource must have been idle at the instant `now`. A time that is yet to come asks for no less than 1 ms. */
export function untilDuration(policy: Policy, now: number): number {
  return 'duration' in policy.until
    ? policy.until.duration
    : Math.max(now - policy.until.time, 1)
}
