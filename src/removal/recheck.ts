import { isDeepStrictEqual } from 'node:util'
import { type Builder, hasNoClient } from '../model/builders.ts'
import {
  byKey,
  type Container,
  type Image,
  type Inventory,
  type Network,
  type Volume
} from '../model/inventory.ts'
import { describeUsers, usersOfNetwork, usersOfVolume } from '../model/users.ts'
import type { RemovableKind } from './commands.ts'
import type { SecondLook } from './secondLook.ts'

/** Why a planned removal is not to be done any more: it is gone, or a sentence says what has changed. */
export type Change = 'gone' | { changed: string }

/** A container must be as it was, or as this run has made it, and nothing may have come that joins it. */
export function recheckContainer(
  planned: Container,
  { now, needs, containers }: SecondLook,
  stops = false
): Change | undefined {
  const current = containers.get(planned.id)
  if (current === undefined) return 'gone'
  if (stops ? !isOnItsWay(planned, current) : !isAsItWas(planned, current))
    return { changed: `it was used meanwhile: it is ${current.state} now` }
  return inUse(needs.containers.get(planned.id), now)
}

/** One that somebody tried to remove (this run, perhaps) is not in use: it is as it was, but for its state. */
function isAsItWas(planned: Container, current: Container): boolean {
  const sameTimes =
    current.startedAt === planned.startedAt &&
    current.finishedAt === planned.finishedAt
  const sameState = [planned.state, 'dead'].includes(current.state)
  return (sameTimes && sameState) || isBeingRemoved(current)
}

/**
 * One that is to be stopped runs as it did, has ended since then, or was started again by the engine itself: it counts
 * its own starts, and counts anew where somebody starts a container. Of the first one nobody knows whose it was.
 */
function isOnItsWay(planned: Container, current: Container): boolean {
  if (isBeingRemoved(current)) return true
  const more = current.restarts - planned.restarts
  const same = current.startedAt === planned.startedAt
  const ended = ['exited', 'dead', 'stopped']
  if (planned.state === 'paused')
    return same && [...ended, 'paused'].includes(current.state)
  const again =
    planned.state === 'restarting'
      ? // The start that it waits for is counted already.
        more >= 0
      : more > 0 && (planned.restarts > 0 || planned.state === 'stopped')
  const states = [...ended, 'running', 'restarting']
  return (same || again) && states.includes(current.state)
}

/** The engine is at it: of what was started with `--rm`, as soon as it ends. */
export function isBeingRemoved({ state }: Container): boolean {
  return state.startsWith('removing')
}

/**
 * A builder must be as it was, without a client where it runs, and nothing else may use its state. Where the container
 * has gone, whoever removed it may want to keep the volume.
 */
export function recheckBuilder(
  { id, container, volume }: Builder,
  look: SecondLook
): Change | undefined {
  const names = [id, ...(volume ? [volume.name] : [])]
  if (names.some(look.isUnreadable))
    return { changed: 'the engine cannot tell of its state volume any more' }
  const ofContainer = container ? recheckContainer(container, look) : 'gone'
  const ofState = volume ? recheckVolume(volume, look, container) : 'gone'
  if (ofContainer === 'gone' && ofState === 'gone') return 'gone'
  if (container !== undefined && ofContainer === 'gone')
    return { changed: 'its container was removed meanwhile' }
  const current = look.containers.get(id)
  const change = [ofContainer, ofState].find((one) => typeof one === 'object')
  if (change !== undefined) return change
  return current?.state === 'running' && !hasNoClient(current)
    ? { changed: 'it has a client now' }
    : usedMeanwhile(names, look)
}

function usedMeanwhile(
  names: readonly string[],
  { usedSince }: SecondLook
): Change | undefined {
  const used = names.map(usedSince).find((use) => use !== undefined)
  return used === undefined
    ? undefined
    : { changed: `meanwhile it was ${used}` }
}

export function recheckNetwork(
  planned: Network,
  { now, needs, networks }: SecondLook
): Change | undefined {
  if (!networks.has(planned.id)) return 'gone'
  return inUse(usersOfNetwork(planned, needs), now)
}

/**
 * An image must have the references that it had, but for those that this run has `takenOff`, and be tagged no later;
 * no container may need it, and no child of it may be left.
 */
export function recheckImage(
  planned: Image,
  { now, needs, images }: SecondLook,
  takenOff: readonly string[],
  children: readonly Image[]
): Change | undefined {
  const current = images.get(planned.id)
  if (current === undefined) return 'gone'
  const added = current.references.filter(
    (one) => !planned.references.includes(one) || takenOff.includes(one)
  )
  // With the last tag of a repository the engine takes the digests of that repository, too.
  const lost =
    takenOff.length === 0 &&
    current.references.length < planned.references.length
  if (added.length > 0 || lost) {
    const references = current.references.join(', ') || 'none'
    return { changed: `its references are now: ${references}` }
  }
  if (takenOff.length === 0 && wasTaggedAgain(planned, current, now))
    return { changed: 'it was tagged or pulled again' }
  if (planned.remembered && !isDeepStrictEqual(current.labels, planned.labels))
    return { changed: 'its labels are not those that an earlier run saw' }
  const [child] = children
  if (child !== undefined)
    return { changed: `parent of ${child.references[0] ?? child.id}` }
  return inUse(needs.images.get(planned.id), now)
}

/** Of one that an earlier run looked at, only a tag since this run's look counts: the ones before were planned with. */
function wasTaggedAgain(
  { taggedAt, remembered }: Image,
  current: Image,
  now: number
): boolean {
  return (
    current.taggedAt !== taggedAt &&
    (!remembered || (current.taggedAt ?? 0) > now)
  )
}

/** A volume goes by its name: it must still be the one that was looked at, and nothing may mount it but its `own`. */
export function recheckVolume(
  planned: Volume,
  { now, needs, volumes }: SecondLook,
  own?: Container
): Change | undefined {
  const current = volumes.get(planned.name)
  if (current === undefined) return 'gone'
  if (current.createdAt !== planned.createdAt)
    return { changed: 'it was made anew' }
  const users = usersOfVolume(planned, needs)
  return inUse(
    users.filter(({ id }) => id !== own?.id),
    now
  )
}

function inUse(
  users: readonly Container[] | undefined,
  now: number
): Change | undefined {
  return users === undefined || users.length === 0
    ? undefined
    : { changed: `needed by ${describeUsers(users, now)}` }
}

/** Makes the check of each kind against a second look. */
export function createRecheck(
  { containers, networks, images, volumes }: Inventory,
  done: {
    /** Tells whether a container was running, and is stopped to go. */
    stops: (id: string) => boolean
    /** Tells whether an image that was to go is still there. */
    isLeft: (id: string) => boolean
    /** The references that this run has taken off an image. */
    takenOff: (id: string) => readonly string[]
  }
): Record<RemovableKind, (id: string, look: SecondLook) => Change | undefined> {
  const children = Map.groupBy(images, ({ parent }) => parent)
  function checking<T>(
    planned: ReadonlyMap<string, T>,
    recheck: (thing: T, look: SecondLook) => Change | undefined
  ) {
    return (id: string, look: SecondLook) => {
      const thing = planned.get(id)
      if (thing === undefined) throw new Error(`${id} is not in the inventory`)
      if (look.isUnreadable(id))
        return { changed: 'the engine cannot tell of it any more' }
      const change = recheck(thing, look)
      const used = look.usedSince(id)
      return change === undefined && used !== undefined
        ? { changed: `meanwhile it was ${used}` }
        : change
    }
  }
  return {
    container: checking(
      byKey(containers, ({ id }) => id),
      (container, look) =>
        recheckContainer(container, look, done.stops(container.id))
    ),
    network: checking(
      byKey(networks, ({ id }) => id),
      recheckNetwork
    ),
    image: checking(
      byKey(images, ({ id }) => id),
      (image, look) => {
        const left = (children.get(image.id) ?? []).filter(({ id }) =>
          done.isLeft(id)
        )
        return recheckImage(image, look, done.takenOff(image.id), left)
      }
    ),
    volume: checking(
      byKey(volumes, ({ name }) => name),
      recheckVolume
    )
  }
}
