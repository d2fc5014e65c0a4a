import { isBusy } from '../model/builders.ts'
import { happened, isAhead, plausible } from '../model/dates.ts'
import { type Age, type Decision, keep } from '../model/decision.ts'
import type { Evidence } from '../model/evidence.ts'
import type { Container } from '../model/inventory.ts'
import type { Policy } from '../model/policy.ts'
import { formatDuration, formatMinute } from '../units.ts'
import { idleTime, type Limits } from './limits.ts'

type AgeContext = { limits: Pick<Limits, 'ageFrom'>; now: number }

/**
 * The age of a resource by the latest evidence of its use, or by its creation alone with `age-from: created`, as
 * Docker's own prune does. Unknown if a date lies ahead: the engine's clock was set back.
 */
export function ageOf(
  createdAt: number | undefined,
  evidence: readonly Evidence[],
  { limits, now }: AgeContext
): Age {
  const created = { at: createdAt, of: 'created' }
  const all = limits.ageFrom === 'created' ? [created] : [created, ...evidence]
  if (all.some(({ at }) => isAhead(at, now))) return 'unknown'
  let latest: { at: number; of: string } | undefined
  for (const { at, of } of all) {
    const instant = happened(at)
    if (instant !== undefined && (latest === undefined || instant > latest.at))
      latest = { at: instant, of }
  }
  return latest === undefined
    ? 'unknown'
    : { idle: Math.max(now - latest.at, 0), of: latest.of }
}

const day = 86_400_000

/**
 * The age of a resource; if it is unknown, at least the time for which earlier runs have seen no use. A date within the
 * next day allows no such bound: that use may have been a moment ago.
 */
export function ageOrWatch(
  createdAt: number | undefined,
  evidence: readonly Evidence[],
  watchedSince: number | undefined,
  context: AgeContext
): Age {
  const { limits, now } = context
  const age = ageOf(createdAt, evidence, context)
  const dates = [createdAt, ...evidence.map(({ at }) => at)]
  const soon = dates.some((at = 0) => isAhead(at, now) && at <= now + day)
  if (age !== 'unknown' || limits.ageFrom === 'created' || soon) return age
  const past = dates.map((at) => plausible(at, now) ?? 0)
  const atLeast = now - Math.max(watchedSince ?? now, ...past)
  return atLeast > 0 ? { atLeast, of: 'unused since first seen' } : age
}

/** Evidence for networks and volumes: when the containers that used them ended. Those that run use them now. */
export function containerExits(
  containers: readonly Container[],
  now: number
): Evidence[] {
  return containers.map((one) => ({
    at: isBusy(one) ? now : one.finishedAt,
    of: 'used by a container'
  }))
}

export function describeAge(age: Age): string {
  if (age === 'unknown') return 'last use unknown'
  const time = 'idle' in age ? age.idle : age.atLeast
  return `${age.of} ${formatDuration(time)} ago`
}

/** Networks, volumes and containers that never started may be seconds away from their first use. */
const firstMinutes = 10 * 60_000

type KeepContext = {
  policy: Pick<Policy, 'scope'>
  limits: Limits
  now: number
  evidence: { remembers: boolean }
}

/**
 * Keeps what has not been idle for `until`, or is of unknown age. `until: 0s` requires no age. With `createdAt`, the
 * resource also stays for its first ten minutes in scope `engine`. `watchedSince` is when an earlier run first saw it.
 */
export function keepForAge(
  age: Age,
  context: KeepContext,
  {
    createdAt,
    watchedSince
  }: { createdAt?: number | undefined; watchedSince?: number | undefined } = {}
): Decision | undefined {
  const { policy, limits, now } = context
  if (limits.until === 0) return undefined
  const idle = idleTime(age, limits)
  if (idle === undefined)
    return limits.ageFrom === 'created'
      ? keep(
          'unknown-age',
          'no valid creation date, which age-from: created requires',
          'age-from'
        )
      : keepUntilWatched('last use unknown', watchedSince ?? now, context)
  if (idle < limits.until) return keep('recent', describeAge(age))
  if (policy.scope.kind !== 'engine') return undefined
  if (now - (plausible(createdAt, now) ?? 0) < firstMinutes)
    return keep(
      'recent',
      'created less than 10 min ago; may be about to be used'
    )
  return undefined
}

/** Keeps what earlier runs have watched since an instant, until that is long enough ago. */
export function keepUntilWatched(
  why: string,
  since: number,
  { limits, now, evidence }: Omit<KeepContext, 'policy'>
): Decision {
  if (!evidence.remembers) return keep('unknown-age', why)
  if (limits.untilIsDate)
    return keep('unknown-age', `${why}; only removed if until is a duration`)
  const eligibleFrom = since + limits.until
  // Watched long enough, but a use dated ahead holds it for now.
  if (eligibleFrom <= now) return keep('unknown-age', why)
  const detail = `${why}; can be removed from ${formatMinute(eligibleFrom)} if still unused`
  return { action: 'keep', reason: 'unknown-age', detail, eligibleFrom }
}
