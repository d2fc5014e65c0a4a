import {
  type Decided,
  type Decision,
  keep,
  keepDependency,
  onlyKeep
} from '../model/decision.ts'
import type { Volume } from '../model/inventory.ts'
import type { NeedsBoth } from '../model/needs.ts'
import { describeUsers, isIn, usersOfVolume } from '../model/users.ts'
import { ageOrWatch, containerExits, keepUntilWatched } from './age.ts'
import type { Context } from './context.ts'
import { idleTime } from './limits.ts'
import { contextUnder, decideByAge, keepForRule, underRule } from './rules.ts'

type Guard = (volume: Volume, context: Context) => Decision | undefined

/** Decides every volume; `guard` keeps those that no input includes. */
export function decideVolumes(
  volumes: readonly Volume[],
  needs: NeedsBoth,
  context: Context,
  guard: Guard = keepByGuard
): Map<string, Decided> {
  const decided = new Map(
    volumes.map((volume) => [
      volume.name,
      decideVolume(volume, needs, context, guard)
    ])
  )
  for (const { name, options } of volumes) {
    if (decided.get(name)?.decision.action !== 'keep') continue
    const folders = foldersOf(options)
    for (const other of volumes)
      if (other.name !== name && folders.some((folder) => isIn(folder, other)))
        keepDependency(decided, other.name, `used by volume ${name}`)
  }
  return decided
}

/** The host's folders in a volume's options: `device: /srv/data`, `o: lowerdir=/a:/b,upperdir=/c`. */
function foldersOf(options: Volume['options']): string[] {
  return Object.values(options).flatMap((option) =>
    option.split(/[,:=]/).filter((part) => part.startsWith('/'))
  )
}

function decideVolume(
  volume: Volume,
  { staying, all }: NeedsBoth,
  context: Context,
  guard: Guard
): Decided {
  const evidence = [
    ...containerExits(usersOfVolume(volume, all), context.now),
    ...context.evidence.of(volume.name, volume.createdAt)
  ]
  const watchedSince = context.evidence.watchedSince(volume.name)
  const age = ageOrWatch(volume.createdAt, evidence, watchedSince, context)
  const scoped = context.scope.volume(volume, usersOfVolume(volume, all))
  const rule = context.rules.ofNamed('volume', volume)
  const under = contextUnder(rule, context)
  const guarded = guard(volume, under)
  const unwatched = guarded?.reason === 'unknown-age'
  const decision =
    onlyKeep(scoped) ??
    keepVolume(volume, staying, context) ??
    (unwatched ? (keepForRule(rule) ?? underRule(guarded, rule)) : guarded) ??
    decideByAge(age, { rule, scoped }, under, { ...volume, watchedSince })
  return { decision, idle: idleTime(age, under.limits) }
}

function keepVolume(
  volume: Volume,
  staying: NeedsBoth['staying'],
  { now, protectedBy }: Context
): Decision | undefined {
  const users = usersOfVolume(volume, staying)
  if (users.length > 0)
    return keep('in-use', `used by ${describeUsers(users, now)}`)
  const label = protectedBy(volume.labels)
  return label === undefined ? undefined : keep('protected-label', label)
}

function keepByGuard(volume: Volume, context: Context): Decision | undefined {
  const { policy, engine } = context
  const podman = engine.kind === 'podman'
  if (policy.includeVolumes === 'none')
    return keep('not-included', 'include-volumes is false')
  const elsewhere = keepElsewhere(volume)
  if (elsewhere !== undefined) return elsewhere
  const anonymous = isAnonymous(volume)
  // Podman's event log has no mounts.
  if (anonymous && !podman) return undefined
  // Once `data` is gone, Podman's `volume rm data` removes `data-of-others`.
  if (!anonymous && podman)
    return keep(
      'named-volume',
      'Podman might remove a volume with a similar name instead',
      null
    )
  if (!anonymous && policy.includeVolumes !== 'all')
    return keep('named-volume', 'only removed with include-volumes: all')
  if (policy.scope.kind !== 'engine') return undefined
  return keepUnwatched(volume, context)
}

/** Keeps volumes of other drivers and with options: their data may lie outside Docker's folder. */
export function keepElsewhere({
  driver,
  options
}: Volume): Decision | undefined {
  if (driver !== 'local')
    return keep(
      'not-included',
      `volume driver ${driver}: data may be stored elsewhere`,
      null
    )
  return Object.keys(options).length > 0
    ? keep(
        'not-included',
        'volume with driver options: data may be stored elsewhere',
        null
      )
    : undefined
}

/** Keeps a volume that earlier runs have not watched for `until`: Docker does not record when it was last used. */
export function keepUnwatched(
  { name }: Volume,
  context: Context
): Decision | undefined {
  const { limits, now, evidence } = context
  const since = evidence.watchedSince(name) ?? now
  return now - since >= limits.until
    ? undefined
    : keepUntilWatched('last use not recorded', since, context)
}

/** Docker labels anonymous volumes from 23 on; before, only the name of 64 hexadecimal digits shows it. */
export function isAnonymous(volume: Pick<Volume, 'name' | 'labels'>): boolean {
  return (
    'com.docker.volume.anonymous' in volume.labels ||
    /^[0-9a-f]{64}$/.test(volume.name)
  )
}
