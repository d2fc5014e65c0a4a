import type { Policy } from '../model/policy.ts'

/** How long a resource must have been idle at the instant `now`. A time that is yet to come asks for no less than 1 ms. */
export function untilDuration(policy: Policy, now: number): number {
  return 'duration' in policy.until
    ? policy.until.duration
    : Math.max(now - policy.until.time, 1)
}
