import {
  ageOrWatch,
  containerExits,
  describeAge,
  keepForAge,
  keepUntilWatched
} from './age.ts'
import type { Context } from './context.ts'
import {
  type Decided,
  type Decision,
  keep,
  keepDependency,
  onlyKeep,
  remove
} from '../model/decision.ts'
import type { Volume } from '../model/inventory.ts'
import type { NeedsBoth } from '../model/needs.ts'
import { describeUsers, isIn, usersOfVolume } from '../model/users.ts'
import { untilDuration } from './limits.ts'

type Guard = (volume: Volume, context: Context) => Decision | undefined

/** Decides every volume that gets past the guard. */
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
        keepDependency(decided, other.name, `volume ${name} lies in it`)
  }
  return decided
}

/** The folders of the host that a volume is made of: `device: /srv/data`, `o: lowerdir=/a:/b,upperdir=/c`. */
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
    ...containerExits(usersOfVolume(volume, all)),
    ...context.evidence.of(volume.name, volume.createdAt)
  ]
  const watchedSince = context.evidence.watchedSince(volume.name)
  const age = ageOrWatch(volume.createdAt, evidence, watchedSince, context)
  const scoped = context.scope.volume(volume, usersOfVolume(volume, all))
  const decision =
    onlyKeep(scoped) ??
    keepVolume(volume, staying, context) ??
    guard(volume, context) ??
    keepForAge(age, context, { ...volume, watchedSince }) ??
    scoped ??
    remove('expired', describeAge(age))
  return { decision, age }
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
  // Podman's log has no mounts.
  if (anonymous && !podman) return undefined
  // It takes a name that is gone for the start of another: `volume rm data` then removes data-of-others.
  if (!anonymous && podman)
    return keep(
      'named-volume',
      'Podman does not remove just the one it is told',
      null
    )
  if (!anonymous && policy.includeVolumes !== 'all')
    return keep('named-volume', 'only include-volumes: all takes named ones')
  if (policy.scope.kind !== 'engine') return undefined
  const what = anonymous ? 'on Podman a volume' : 'a named volume'
  return keepUnwatched(volume, what, context)
}

/** Another driver's data, or a bind or a mount with options, lies somewhere that is not Docker's to clean. */
export function keepElsewhere({
  driver,
  options
}: Volume): Decision | undefined {
  if (driver !== 'local')
    return keep('not-included', `its driver is ${driver}, not local`, null)
  return Object.keys(options).length > 0
    ? keep('not-included', 'it has driver options', null)
    : undefined
}

/** No date that Docker knows tells when a named volume was last used: it must have been watched for that long. */
export function keepUnwatched(
  { name }: Volume,
  what: string,
  context: Context
): Decision | undefined {
  const { policy, now, evidence } = context
  const until = untilDuration(policy, now)
  const since = evidence.watchedSince(name) ?? now
  return now - since >= until
    ? undefined
    : keepUntilWatched(
        `${what} goes only after it was watched for until`,
        since,
        context
      )
}

/** Docker 23 and later label an anonymous volume; older ones only gave it a name of 64 hexadecimal digits. */
function isAnonymous(volume: Volume): boolean {
  return (
    'com.docker.volume.anonymous' in volume.labels ||
    /^[0-9a-f]{64}$/.test(volume.name)
  )
}
