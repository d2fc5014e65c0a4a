import type { Age } from '../model/decision.ts'
import type { Policy } from '../model/policy.ts'

/** How much a decision keeps. The only reader of the inputs `keep-last`, `until` and `age-from`. */
export type Limits = {
  /** Images kept of each repository. */
  keepLast: number
  /** How long something must have been idle, in milliseconds. */
  until: number
  /** `until` is a date: it moves away from what is first seen after it. */
  untilIsDate: boolean
  ageFrom: Policy['ageFrom']
}

/** The limits at the instant `now`. A date in the future still requires 1 ms. */
export function limitsOf(
  { keepLast, until, ageFrom }: Pick<Policy, 'keepLast' | 'until' | 'ageFrom'>,
  now: number
): Limits {
  return 'duration' in until
    ? { keepLast, until: until.duration, untilIsDate: false, ageFrom }
    : {
        ...{ keepLast, ageFrom },
        until: Math.max(now - until.time, 1),
        untilIsDate: true
      }
}

/**
 * How long something counts as idle, in milliseconds; undefined if unknown. A lower bound counts once it reaches
 * `until`.
 */
export function idleTime(
  age: Age,
  { until }: Pick<Limits, 'until'>
): number | undefined {
  if (age === 'unknown') return undefined
  if ('idle' in age) return age.idle
  return age.atLeast >= until ? age.atLeast : undefined
}
