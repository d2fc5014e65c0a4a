import { ageOf, describeAge, keepForAge, type Age } from './age.ts'
import type { Context } from './context.ts'
import { keep, remove, type Decision } from './decision.ts'
import type { Container, Volume } from './inventory.ts'
import { describeUsers, usersOfVolume, type Needs } from './needs.ts'
import { untilDuration } from './policy.ts'

/** Docker 23 and later label an anonymous volume; older ones only gave it a name of 64 hexadecimal digits. */
export function isAnonymous(volume: Volume): boolean {
  return (
    'com.docker.volume.anonymous' in volume.labels ||
    /^[0-9a-f]{64}$/.test(volume.name)
  )
}

/** The age of a volume: since it was made, or since the last container that mounts it ended. */
export function ageOfVolume(
  volume: Volume,
  mounting: readonly Container[],
  now: number
): Age {
  return ageOf(
    [
      { at: volume.createdAt, of: 'created' },
      ...mounting.map(({ finishedAt }) => ({
        at: finishedAt,
        of: 'last used by a container'
      }))
    ],
    now
  )
}

/** Decides every volume. `staying` is what the staying containers need, `all` what all containers needed so far. */
export function decideVolumes(
  volumes: readonly Volume[],
  needs: { staying: Needs; all: Needs },
  context: Context
): Map<string, Decision> {
  return new Map(
    volumes.map((volume) => [volume.name, decide(volume, needs, context)])
  )
}

function decide(
  volume: Volume,
  { staying, all }: { staying: Needs; all: Needs },
  context: Context
): Decision {
  const { policy, now } = context
  const label = context.protectedBy(volume.labels)
  const users = usersOfVolume(volume, staying)
  if (users.length > 0)
    return keep('in-use', `used by ${describeUsers(users, now)}`)
  if (label !== undefined) return keep('protected-label', label)
  if (policy.includeVolumes === 'none')
    return keep('not-included', 'include-volumes is false')
  // Another driver's data, or a bind or a mount with options, lies somewhere that is not Docker's to clean.
  if (volume.driver !== 'local')
    return keep('not-included', `its driver is ${volume.driver}, not local`)
  if (Object.keys(volume.options).length > 0)
    return keep('not-included', 'it has driver options')
  if (!isAnonymous(volume)) {
    if (policy.includeVolumes !== 'all')
      return keep('named-volume', 'only include-volumes: all takes named ones')
    // Nothing here has watched it, and no date that Docker knows tells when a named volume was last used.
    if (untilDuration(policy, now) > 0)
      return keep(
        'unknown-age',
        'nothing tells when a named volume was last used; only until: 0s takes it'
      )
  }
  const age = ageOfVolume(volume, usersOfVolume(volume, all), now)
  return keepForAge(age, context, volume) ?? remove('expired', describeAge(age))
}
