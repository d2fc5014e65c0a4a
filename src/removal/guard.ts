import { setTimeout as sleep } from 'node:timers/promises'
import type { Docker } from '../docker/cli.ts'
import type { Inspectable } from '../docker/inspect.ts'
import { traitsOf } from '../docker/traits.ts'
import type {
  Engine,
  EngineEvent,
  Image,
  Inventory
} from '../model/inventory.ts'
import {
  type Changes,
  createChanges,
  inspectNeedy,
  lookFromEvents,
  noteEvent,
  usedSince
} from './changes.ts'
import {
  checkLog,
  createLogCheck,
  isDue,
  isFillingUp,
  type LogCheck,
  longestLag,
  pause
} from './eventLog.ts'
import { lookAgain, type SecondLook } from './secondLook.ts'
import type { EventStream } from './stream.ts'

export type GuardOptions = {
  docker: Docker
  inventory: Inventory
  stream: EventStream
  /** Whether this run has removed it. */
  isGone: (id: string) => boolean
  /** Whether this run has told the container to stop. */
  isStopped: (id: string) => boolean
  /** The references that this run has taken off an image. */
  takenOff: (id: string) => readonly string[]
  /** Called once, with the reason, if the stream is no longer trusted. */
  onFallback: (why: string) => void
}

/**
 * Finds what others change while this run removes. Where the engine's event stream is complete, it shows every change
 * within milliseconds (F34); elsewhere the engine is looked at again before each batch.
 */
export type Guard = GuardOptions & {
  changes: Changes
  log: LogCheck
  /** Images of which the events do not say enough. */
  unsure: ReadonlySet<string>
  state: {
    trusted: boolean
    fellBack: boolean
    /** Whether the stream has shown a removal by this run in time. Until then, the engine is looked at as well. */
    proven: boolean
    /** What this run is changing, and what the stream has shown of that. */
    inHand: Map<string, 'whole' | 'untagged' | 'removed'>
    /** Removals of images under way. */
    flights: Set<Flight>
    /** What the stream has shown removed, by anybody. */
    removed: Set<string>
  }
}

type Flight = { ids: ReadonlySet<string>; over: AbortController }

export function createGuard(options: GuardOptions): Guard {
  const { docker, inventory, stream } = options
  const { engine, images } = inventory
  const guard: Guard = {
    ...options,
    changes: createChanges(inventory),
    log: createLogCheck(docker, inventory, stream, (event) => {
      onEvent(guard, event)
    }),
    unsure: new Set(
      images.filter((one) => isUnsure(one, engine)).map(({ id }) => id)
    ),
    state: {
      // Podman logs some events late, and Docker before 23 none of BuildKit's builds.
      trusted: engine.logsBuilds,
      fellBack: false,
      proven: false,
      ...{ inHand: new Map(), flights: new Set(), removed: new Set() }
    }
  }
  stream.listen((event) => {
    onEvent(guard, event)
  })
  return guard
}

export function trustsStream(guard: Guard): boolean {
  const problem = guard.stream.problem()
  if (problem !== undefined) distrust(guard, problem)
  return guard.state.trusted
}

/** What the things, and everything that may need them, are now. */
export async function look(
  guard: Guard,
  kind: Inspectable,
  ids: readonly string[]
): Promise<SecondLook> {
  const { changes, log, docker, state } = guard
  const eventsSuffice = () => trustsStream(guard) && state.proven
  if (eventsSuffice() && isDue(log)) await compareWithLog(guard)
  if (eventsSuffice()) await inspectNeedy(changes, docker)
  if (!eventsSuffice()) return lookAtEngineAndLog(guard, kind, ids)
  const asked = ids.filter(
    (id) =>
      changes.spoken.has(id) ||
      isTouched(guard, id) ||
      isSilent(guard, kind, id)
  )
  if (asked.length === 0) return lookFromEvents(changes, ids, guard)
  const seen = await lookAtEngine(guard, kind, asked)
  const others = ids.filter((id) => !asked.includes(id))
  const { images, volumes } = lookFromEvents(changes, others, guard)
  return {
    ...seen,
    images: new Map([...images, ...seen.images]),
    volumes: new Map([...volumes, ...seen.volumes])
  }
}

/** The log shows renewals that a listing does not. */
async function lookAtEngineAndLog(
  guard: Guard,
  kind: Inspectable,
  ids: readonly string[]
): Promise<SecondLook> {
  const { inventory, log } = guard
  const seen = await lookAtEngine(guard, kind, ids)
  if (inventory.engine.logsBuilds && !log.isUnreadable)
    await compareWithLog(guard)
  return seen
}

/** The same by asking the engine alone, with the current state of some `containers`. */
export function lookAtEngine(
  { docker, inventory, stream, isGone, isStopped, changes }: Guard,
  kind: Inspectable,
  ids: readonly string[],
  containers: readonly string[] = []
): Promise<SecondLook> {
  const asked = new Set([...ids, ...containers])
  for (const id of asked) changes.spoken.delete(id)
  return lookAgain(
    {
      ...{ docker, inventory, isLive: stream.isLive },
      usedSince: (id) => usedSince(changes, id, isStopped),
      containers: [...changes.containers.values()],
      services: changes.services
    },
    {
      kind,
      ids,
      changing: (id) => kind === 'network' || asked.has(id),
      gone: isGone
    }
  )
}

/** Until the change of these images ends, their untagging and removal are its doing. */
export async function whileChanging<T>(
  { state: { inHand } }: Guard,
  ids: readonly string[],
  change: () => Promise<T>
): Promise<T> {
  for (const id of ids) inHand.set(id, 'whole')
  try {
    return await change()
  } finally {
    for (const id of ids) inHand.delete(id)
  }
}

/**
 * Runs a removal. The signal aborts as soon as the stream speaks of one of the images: the engine removes one after the
 * other, and stops when the call is killed (F48).
 */
export async function whileRemoving<T>(
  guard: Guard,
  ids: readonly string[],
  remove: (kill: AbortSignal) => Promise<T>
): Promise<T> {
  const { state, changes, log } = guard
  const flight = { ids: new Set(ids), over: new AbortController() }
  // Elsewhere events come late, and the engine's words for our own removals are others.
  if (guard.inventory.engine.logsBuilds) {
    state.flights.add(flight)
    if (ids.some((id) => changes.spoken.has(id))) flight.over.abort()
  }
  try {
    return await remove(flight.over.signal)
  } finally {
    state.flights.delete(flight)
    log.removals += ids.length
  }
}

/** Waits until the stream has shown that these are gone. A stream that does not has a gap. */
export async function expectRemoved(
  guard: Guard,
  ids: readonly string[]
): Promise<void> {
  const { state } = guard
  const isShown = () => ids.every((id) => state.removed.has(id))
  for (let waited = 0; waited < longestLag; waited += pause) {
    if (!trustsStream(guard)) return
    if (isShown()) break
    await sleep(pause)
  }
  if (isShown()) {
    state.proven ||= ids.length > 0
    return
  }
  // The log has what others have changed since it was last read.
  await compareWithLog(guard)
  distrust(guard, 'the stream lacks removals by this step')
}

/** Whether a removal by this run has begun, and has not ended as far as the stream has shown. */
export function isTouched({ state: { inHand } }: Guard, id: string): boolean {
  return (inHand.get(id) ?? 'whole') !== 'whole'
}

/** Waits, after a call was killed, for the image that the engine has in hand. Returns whether it is removed. */
export async function wasInHand(
  { state: { inHand } }: Guard,
  id: string
): Promise<boolean> {
  const isHalfway = () => inHand.get(id) === 'untagged'
  for (let waited = 0; isHalfway() && waited < longestLag; waited += pause)
    await sleep(pause)
  return inHand.get(id) === 'removed'
}

const removals = new Set(['delete', 'destroy'])

/** What the removal of an image makes of it. */
const ownActions: Record<string, 'untagged' | 'removed'> = {
  untag: 'untagged',
  delete: 'removed'
}

function onEvent(guard: Guard, event: EngineEvent): void {
  const { changes, log, state } = guard
  const { id, type, action, container } = event
  log.events += 1
  if (state.trusted && isFillingUp(log))
    // Fails after a cancel, which also ends the removal.
    compareWithLog(guard).catch(() => undefined)
  if (removals.has(action)) state.removed.add(id)
  const done = type === 'image' ? ownActions[action] : undefined
  if (done !== undefined && state.inHand.has(id)) {
    state.inHand.set(id, done)
    return
  }
  if (guard.isStopped(container || id)) return
  const { subjects, used } = noteEvent(changes, event)
  // Somebody has made again what had been removed.
  for (const one of used)
    if (state.inHand.has(one)) state.inHand.set(one, 'untagged')
  for (const { ids, over } of state.flights)
    if (subjects.some((one) => ids.has(one))) over.abort()
}

/** Whether the engine has to be asked although no event has come. No event shows that a network gets a stopped container. */
function isSilent(
  { isStopped, unsure }: Guard,
  kind: Inspectable,
  id: string
): boolean {
  return kind === 'network' || isStopped(id) || unsure.has(id)
}

/** An image that only an earlier run has inspected, or that containerd's own tools may tag without an event (F50). */
function isUnsure({ remembered, references }: Image, engine: Engine): boolean {
  if (remembered) return true
  return traitsOf(engine).hasOtherTools && references.length === 0
}

async function compareWithLog(guard: Guard): Promise<void> {
  const problem = await checkLog(guard.log)
  if (problem !== undefined) distrust(guard, problem)
}

function distrust(guard: Guard, why: string): void {
  const { state, log } = guard
  if (!state.fellBack) guard.onFallback(why)
  log.patience = 0
  Object.assign(state, { fellBack: true, trusted: false })
}
