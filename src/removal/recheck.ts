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
import { composeProject, isRunning, needsOf } from '../model/needs.ts'
import { isStopped, isStoppedByRule, type PlanItem } from '../model/plan.ts'
import { describeUsers, usersOfNetwork, usersOfVolume } from '../model/users.ts'
import type { RemovableKind } from './commands.ts'
import type { SecondLook } from './secondLook.ts'

/** Why a planned removal is dropped: the thing is gone, or has changed as the sentence says. */
export type Change = 'gone' | { changed: string }

/** A change in one phrase: `pulled since the inventory was taken`. */
function sinceInventory(what: string, now = ''): Change {
  const changed = `${what} since the inventory was taken`
  return { changed: now ? `${changed}, ${now}` : changed }
}

/** A container must be as it was, or as a stop by this run left it, and no container may need it. */
export function recheckContainer(
  planned: Container,
  { now, needs, containers }: SecondLook,
  stops = false
): Change | undefined {
  const current = containers.get(planned.id)
  if (current === undefined) return 'gone'
  if (stops ? !isOnItsWay(planned, current) : !isAsItWas(planned, current))
    return sinceInventory('used', `now ${current.state}`)
  return inUse(needs.containers.get(planned.id), now)
}

/** A container that a rule stops must run as it did, and nothing else that runs may need it. */
export function recheckStop(
  planned: Container,
  { needs, containers }: SecondLook,
  toStop: ReadonlySet<string>
): Change | undefined {
  const current = containers.get(planned.id)
  if (current === undefined) return 'gone'
  if (!isOnItsWay(planned, current))
    return sinceInventory('used', `now ${current.state}`)
  if (current.restartPolicy !== planned.restartPolicy)
    return sinceInventory('restart policy changed')
  if (isRunning(current) && current.execs?.length !== 0)
    return sinceInventory('exec session started')
  const runsOn = (one: Container) => isRunning(one) && !toStop.has(one.id)
  const project = composeProject(planned)
  const other =
    needs.containers.get(planned.id)?.find(runsOn) ??
    [...containers.values()].find(
      (one) => project && composeProject(one) === project && runsOn(one)
    )
  return other && { changed: `now needed by container ${other.name}` }
}

/** The IDs of other containers whose start keeps some of these from being stopped. */
export function neighboursOf(
  items: readonly PlanItem[],
  { containers }: Inventory
): string[] {
  const ids = new Set(items.filter(isStoppedByRule).map(({ id }) => id))
  if (ids.size === 0) return []
  const stopped = containers.filter(({ id }) => ids.has(id))
  const projects = new Set(stopped.map(composeProject))
  projects.delete(undefined)
  const needs = needsOf(containers, { containers, images: [] }).containers
  const users = stopped.flatMap(({ id }) => needs.get(id) ?? [])
  const members = containers.filter((one) => projects.has(composeProject(one)))
  return [...users, ...members].map(({ id }) => id)
}

/** An attempt to remove a container, by this run or another, changes its state and is not a use. */
function isAsItWas(planned: Container, current: Container): boolean {
  const sameTimes =
    current.startedAt === planned.startedAt &&
    current.finishedAt === planned.finishedAt
  const sameState = [planned.state, 'dead'].includes(current.state)
  return (sameTimes && sameState) || isBeingRemoved(current)
}

/** The engine counts its own restarts since somebody started the container; so a first restart may be anybody's. */
function isOnItsWay(planned: Container, current: Container): boolean {
  if (isBeingRemoved(current)) return true
  const more = current.restarts - planned.restarts
  const same = current.startedAt === planned.startedAt
  const ended = ['exited', 'dead', 'stopped']
  if (planned.state === 'paused')
    return same && [...ended, 'paused'].includes(current.state)
  const again =
    planned.state === 'restarting'
      ? // The engine counts a restart before it happens.
        more >= 0
      : more > 0 && (planned.restarts > 0 || planned.state === 'stopped')
  const states = [...ended, 'running', 'restarting']
  return (same || again) && states.includes(current.state)
}

/** The engine itself removes a container that was started with `--rm` once it exits. */
export function isBeingRemoved({ state }: Container): boolean {
  return state.startsWith('removing')
}

/** A builder must be as it was, without a client. If somebody removed its container, they may still want the volume. */
export function recheckBuilder(
  { id, container, volume }: Builder,
  look: SecondLook
): Change | undefined {
  const names = [id, ...(volume ? [volume.name] : [])]
  if (names.some(look.isUnreadable))
    return { changed: 'state volume can no longer be inspected' }
  const ofContainer = container ? recheckContainer(container, look) : 'gone'
  const ofState = volume ? recheckVolume(volume, look, container) : 'gone'
  if (ofContainer === 'gone' && ofState === 'gone') return 'gone'
  if (container !== undefined && ofContainer === 'gone')
    return sinceInventory('container removed')
  const current = look.containers.get(id)
  const change = [ofContainer, ofState].find((one) => typeof one === 'object')
  if (change !== undefined) return change
  return current?.state === 'running' && !hasNoClient(current)
    ? sinceInventory('client connected')
    : usedMeanwhile(names, look)
}

function usedMeanwhile(
  names: readonly string[],
  { usedSince }: SecondLook
): Change | undefined {
  const used = names.map(usedSince).find((use) => use !== undefined)
  return used === undefined ? undefined : sinceInventory(used)
}

export function recheckNetwork(
  planned: Network,
  { now, needs, networks }: SecondLook
): Change | undefined {
  if (!networks.has(planned.id)) return 'gone'
  return inUse(usersOfNetwork(planned, needs), now)
}

/** An image must have its planned references but those `takenOff` by this run, no later tag, no user and no child. */
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
  // The engine removes the digests of a repository with its last tag, so after untagging some may be missing.
  const lost =
    takenOff.length === 0 &&
    current.references.length < planned.references.length
  if (added.length > 0 || lost) {
    const references = current.references.join(', ') || 'none'
    return sinceInventory('references changed', `now ${references}`)
  }
  if (takenOff.length === 0 && wasTaggedAgain(planned, current, now))
    return sinceInventory('tagged or pulled')
  if (planned.remembered && !isDeepStrictEqual(current.labels, planned.labels))
    return { changed: 'labels differ from those that an earlier run recorded' }
  const [child] = children
  if (child !== undefined)
    return { changed: `parent of image ${child.references[0] ?? child.id}` }
  return inUse(needs.images.get(planned.id), now)
}

/** For an image known from an earlier run, only a tag since the listing counts: the plan has seen older ones. */
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

/** A volume must be the same one, as its name could be reused, and no container but its `own` may mount it. */
export function recheckVolume(
  planned: Volume,
  { now, needs, volumes }: SecondLook,
  own?: Container
): Change | undefined {
  const current = volumes.get(planned.name)
  if (current === undefined) return 'gone'
  if (current.createdAt !== planned.createdAt)
    return sinceInventory('recreated')
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
    : { changed: `now used by ${describeUsers(users, now)}` }
}

/** A check of planned items of each kind against a second look. */
export type Recheck = Record<
  RemovableKind,
  (item: PlanItem, look: SecondLook) => Change | undefined
>

export function createRecheck(
  { containers, networks, images, volumes }: Inventory,
  {
    isGone,
    takenOff,
    toStop
  }: {
    isGone: (id: string) => boolean
    takenOff: (id: string) => readonly string[]
    toStop: ReadonlySet<string>
  }
): Recheck {
  const children = Map.groupBy(images, ({ parent }) => parent)
  const childrenLeft = (id: string) =>
    (children.get(id) ?? []).filter((child) => !isGone(child.id))
  const byId = ({ id }: { id: string }) => id
  return {
    container: checking(
      byKey(containers, byId),
      (one, look, item) =>
        (isStoppedByRule(item) ? recheckStop(one, look, toStop) : undefined) ??
        (item.decision.action === 'keep'
          ? undefined
          : recheckContainer(one, look, isStopped(item)))
    ),
    network: checking(byKey(networks, byId), recheckNetwork),
    image: checking(byKey(images, byId), (one, look) =>
      recheckImage(one, look, takenOff(one.id), childrenLeft(one.id))
    ),
    volume: checking(
      byKey(volumes, ({ name }) => name),
      (one, look) => recheckVolume(one, look)
    )
  }
}

function checking<T>(
  planned: ReadonlyMap<string, T>,
  recheck: (thing: T, look: SecondLook, item: PlanItem) => Change | undefined
): Recheck[RemovableKind] {
  return (item, look) => {
    const { id } = item
    const thing = planned.get(id)
    if (thing === undefined) throw new Error(`${id} is not in the inventory`)
    if (look.isUnreadable(id)) return { changed: 'can no longer be inspected' }
    if (look.stranger !== undefined && item.kind !== 'container')
      return {
        changed: `container ${look.stranger} was created since the inventory was taken and cannot be inspected`
      }
    return recheck(thing, look, item) ?? usedMeanwhile([id], look)
  }
}
