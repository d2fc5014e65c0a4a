import { formatDuration } from '../units.ts'
import { keep, type Decision } from './decision.ts'
import { untilDuration, type Policy } from './policy.ts'

/** Something that shows that a resource was in use at an instant (milliseconds since 1970). */
export type Evidence = { at: number | undefined; of: string }

/** How long a resource has been idle, in milliseconds by the engine's clock, and what shows it. */
export type Age = { idle: number; of: string } | 'unknown'

/** Builders that want the same bits every time write 1970-01-01 or 1980-01-01 (or nothing): no date at all. */
const earliestPlausible = Date.UTC(1980, 0, 3)

/** Docker writes year 1 for "never", and build tools years that mean "none". */
export function plausible(instant: number | undefined): number | undefined {
  return instant !== undefined && instant >= earliestPlausible
    ? instant
    : undefined
}

/**
 * The age of a resource by the latest evidence of its use: whatever was used last was used since. With
 * `age-from: created` by Docker's own rule, the date of its making alone.
 */
export function ageOf(
  createdAt: number | undefined,
  evidence: readonly Evidence[],
  { policy, now }: { policy: Policy; now: number }
): Age {
  const created = { at: createdAt, of: 'created' }
  const all = policy.ageFrom === 'created' ? [created] : [created, ...evidence]
  let latest: { at: number; of: string } | undefined
  for (const { at, of } of all) {
    const instant = plausible(at)
    if (instant !== undefined && (latest === undefined || instant > latest.at))
      latest = { at: instant, of }
  }
  return latest === undefined
    ? 'unknown'
    : { idle: Math.max(now - latest.at, 0), of: latest.of }
}

/** What the end of containers shows of the networks and volumes that they used. */
export function endsOf(
  containers: readonly { finishedAt: number | undefined }[]
): Evidence[] {
  return containers.map(({ finishedAt }) => ({
    at: finishedAt,
    of: 'last used by a container'
  }))
}

export function describeAge(age: Age): string {
  return age === 'unknown'
    ? 'nothing tells its age'
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
      : keep(
          'unknown-age',
          `nothing tells how long it has been idle${whenKnown(watchedSince ?? now, context)}`
        )
  if (age.idle < until) return keep('recent', describeAge(age))
  if (policy.scope.kind !== 'engine') return undefined
  if (createdAt !== undefined && now - createdAt < firstMinutes)
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

/** When something that is watched since an instant may go, if a later run will know of that, and the day comes. */
export function whenKnown(
  since: number,
  { policy, now, evidence }: AgeContext
): string {
  if (!evidence.remembers) return ''
  if ('time' in policy.until)
    return '; with a date for until, what is first seen after it never goes'
  const instant = since + untilDuration(policy, now)
  const day = new Date(instant).toISOString().slice(0, 16).replace('T', ' ')
  return `; if it stays unused, it can go from ${day} UTC on`
}
