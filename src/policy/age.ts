import { happened, isAhead, plausible } from '../model/dates.ts'
import { type Age, type Decision, keep } from '../model/decision.ts'
import type { Evidence } from '../model/evidence.ts'
import type { Policy } from '../model/policy.ts'
import { untilDuration } from './limits.ts'
import { formatDuration, formatMinute } from '../units.ts'

/**
 * The age of a resource by the latest evidence of its use: whatever was used last was used since. With
 * `age-from: created` by Docker's own rule, the date of its making alone. Unknown where a date lies ahead: the
 * engine's clock was set back, and nobody knows how long ago that use was.
 */
export function ageOf(
  createdAt: number | undefined,
  evidence: readonly Evidence[],
  { policy, now }: { policy: Policy; now: number }
): Age {
  const created = { at: createdAt, of: 'created' }
  const all = policy.ageFrom === 'created' ? [created] : [created, ...evidence]
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
 * The age of something, or where nothing tells it, how long earlier runs have watched it without seeing a use, once
 * that is `until`. Not where a use is dated within the next day: it may have been a moment ago.
 */
export function ageOrWatch(
  createdAt: number | undefined,
  evidence: readonly Evidence[],
  watchedSince: number | undefined,
  context: { policy: Policy; now: number }
): Age {
  const { policy, now } = context
  const age = ageOf(createdAt, evidence, context)
  const dates = [createdAt, ...evidence.map(({ at }) => at)]
  const soon = dates.some((at = 0) => isAhead(at, now) && at <= now + day)
  if (age !== 'unknown' || policy.ageFrom === 'created' || soon) return age
  const past = dates.map((at) => plausible(at, now) ?? 0)
  const idle = now - Math.max(watchedSince ?? now, ...past)
  return idle > 0 && idle >= untilDuration(policy, now)
    ? { idle, of: 'first seen' }
    : age
}

/** What the end of containers shows of the networks and volumes that they used. */
export function containerExits(
  containers: readonly { finishedAt: number | undefined }[]
): Evidence[] {
  return containers.map(({ finishedAt }) => ({
    at: finishedAt,
    of: 'last used by a container'
  }))
}

export function describeAge(age: Age): string {
  return age === 'unknown'
    ? 'last use unknown'
    : `${age.of} ${formatDuration(age.idle)} ago`
}

/** Networks, volumes and containers that never started may be seconds away from their first use. */
const firstMinutes = 10 * 60_000

/**
 * Keeps what has not been idle for `until`, or is of unknown age: unknown is not old. `until: 0s` asks for no age.
 * Given `createdAt`, the resource also stays for its first ten minutes, in scope `engine`. `watchedSince` is when an
 * earlier run saw it first.
 */
export function keepForAge(
  age: Age,
  context: AgeContext,
  {
    createdAt,
    watchedSince
  }: { createdAt?: number | undefined; watchedSince?: number | undefined } = {}
): Decision | undefined {
  const { policy, now } = context
  const until = untilDuration(policy, now)
  if (until === 0) return undefined
  if (age === 'unknown')
    return policy.ageFrom === 'created'
      ? keep(
          'unknown-age',
          'it has no date, and age-from: created counts nothing else',
          'age-from'
        )
      : keepUntilWatched('last use unknown', watchedSince ?? now, context)
  if (age.idle < until) return keep('recent', describeAge(age))
  if (policy.scope.kind !== 'engine') return undefined
  if (now - (plausible(createdAt, now) ?? 0) < firstMinutes)
    return keep(
      'recent',
      'not yet 10 min old: its first use may be about to come'
    )
  return undefined
}

type AgeContext = {
  policy: Policy
  now: number
  evidence: { remembers: boolean }
}

/** Keeps what has been watched since an instant: it can go once that is long enough ago, if a later run will know. */
export function keepUntilWatched(
  why: string,
  since: number,
  { policy, now, evidence }: AgeContext
): Decision {
  if (!evidence.remembers) return keep('unknown-age', why)
  if ('time' in policy.until)
    return keep(
      'unknown-age',
      `${why}; with a date for until, what is first seen after it never goes`
    )
  const eligibleFrom = since + untilDuration(policy, now)
  // A use that is dated ahead holds it for now.
  if (eligibleFrom <= now) return keep('unknown-age', why)
  const detail = `${why}; if it stays unused, it can go from ${formatMinute(eligibleFrom)} on`
  return { action: 'keep', reason: 'unknown-age', detail, eligibleFrom }
}
