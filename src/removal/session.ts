import type { Docker } from '../docker/cli.ts'
import type { DockerError } from '../docker/errors.ts'
import type { Inspectable } from '../docker/inspect.ts'
import type { Inventory } from '../model/inventory.ts'
import type { Outcome, Removal, Result } from '../model/outcome.ts'
import type { PlanItem } from '../model/plan.ts'
import { list } from '../words.ts'
import { commands, readReportedIds, type RemovableKind } from './commands.ts'
import { createGuard, type Guard, look, lookAtEngine } from './guard.ts'
import { createRecheck, neighboursOf, type Recheck } from './recheck.ts'
import { asDockerError, readChange } from './refusal.ts'
import type { SecondLook } from './secondLook.ts'
import type { EventStream } from './stream.ts'

export type SessionOptions = {
  docker: Docker
  inventory: Inventory
  stream: EventStream
  /** Batches at once. */
  concurrency: number
  /** No new work begins after this time, in milliseconds as Date.now() counts. */
  deadline: number
  signal: AbortSignal
  onResult: (result: Result) => void
  /** Called once, with the reason, if changes by others are from now on found by listing alone. */
  onFallback: (why: string) => void
}

/** Everything that the removal of one plan shares. Only the functions of this file reach its state. */
export type Session = SessionOptions & {
  guard: Guard
  recheck: Recheck
  [state]: State
}

const state = Symbol('state')

type State = {
  results: Map<PlanItem, Result>
  /** IDs of containers, builders and images that are no longer there. */
  gone: Set<string>
  /** The references taken off each image, by its ID. They stay off even if the image stays. */
  takenOff: Map<string, readonly string[]>
  /** The containers that the plan stops, without those that are dropped. */
  toStop: Set<string>
  toldToStop: Set<string>
  /** IDs that the engine reported as stopped or removed, including those it removed along with others. */
  reportedIds: Set<string>
  fatal: DockerError | undefined
}

/** `toStop` has the IDs of the containers that the plan stops. */
export function createSession(
  options: SessionOptions,
  toStop: ReadonlySet<string> = new Set()
): Session {
  const { inventory, stream, onFallback } = options
  const own: State = {
    results: new Map(),
    gone: new Set(),
    takenOff: new Map(),
    toStop: new Set(toStop),
    toldToStop: new Set(),
    reportedIds: new Set(),
    fatal: undefined
  }
  // A call that is running at the deadline may finish and be checked in the grace time.
  const docker: Docker = (args, more) =>
    options.docker(args, { grace: true, ...more })
  const isGone = (id: string) => own.gone.has(id)
  const takenOff = (id: string) => own.takenOff.get(id) ?? []
  return {
    ...options,
    docker,
    guard: createGuard({
      ...{ docker, inventory, stream, onFallback, isGone, takenOff },
      isStopped: (id) => own.toldToStop.has(id)
    }),
    recheck: createRecheck(inventory, {
      ...{ isGone, takenOff, toStop: own.toStop }
    }),
    [state]: own
  }
}

type Over = 'cancelled' | 'failed' | 'timeout'

/** Why no new work may begin; undefined while it may. */
export function whyOver(session: Session): Over | undefined {
  const { fatal } = session[state]
  if (session.signal.aborted) return 'cancelled'
  if (fatal !== undefined && !isEndedByDeadline(session, fatal)) return 'failed'
  return Date.now() >= session.deadline ? 'timeout' : undefined
}

/** A call that ran out of the step's time is not the engine's fault. */
export function isEndedByDeadline(
  { deadline }: Session,
  { kind }: DockerError
): boolean {
  return kind === 'no-answer' && Date.now() >= deadline
}

export function fail(session: Session, error: unknown): void {
  session[state].fatal ??= asDockerError(error)
}

/** Records the outcome of an item. The first one counts. */
export function record(
  session: Session,
  item: PlanItem,
  outcome: Outcome
): void {
  const { results, gone, toStop } = session[state]
  if (isRecorded(session, item)) return
  const result = { item, ...withTraces(session, item, outcome) }
  results.set(item, result)
  if (['container', 'image', 'builder'].includes(item.kind) && isGone(outcome))
    gone.add(item.id)
  else if (!outcome.stopped) toStop.delete(item.id)
  session.onResult(result)
}

/** Adds to the outcome of an item that stays what this run has done to it. */
function withTraces(
  session: Session,
  item: PlanItem,
  outcome: Outcome
): Outcome {
  if (isGone(outcome) || outcome.stopped) return outcome
  const off = takenOff(session, item)
  const detail = outcome.detail ?? 'still there'
  return {
    ...outcome,
    ...(off.length > 0 && { removedReferences: [...off] }),
    ...(wasToldToStop(session, item) && {
      detail: `was asked to stop; ${detail}`
    }),
    ...(off.length > 0 &&
      outcome.outcome !== 'untagged' && {
        detail: `${detail}; untagged: ${list(off)}`
      })
  }
}

function isGone({ outcome }: Outcome): boolean {
  return outcome === 'removed' || outcome === 'gone'
}

export function isRecorded(session: Session, item: PlanItem): boolean {
  return session[state].results.has(item)
}

export function recordedResults(session: Session): Result[] {
  return [...session[state].results.values()]
}

/** Records the items that were not reached, and returns all results. */
export function finish(
  session: Session,
  items: readonly PlanItem[]
): Pick<Removal, 'results' | 'fatal'> {
  // A stop needs time to finish, so it may not begin although the time is not quite up.
  const why = whyOver(session) ?? 'timeout'
  const words = {
    cancelled: 'the run was cancelled',
    failed: 'the engine failed',
    timeout: 'the timeout was reached'
  }
  for (const item of items)
    record(session, item, {
      outcome: 'kept',
      reason: 'budget',
      detail: `not removed: ${words[why]}`,
      ...(why === 'timeout' && { heldBy: why })
    })
  return { results: recordedResults(session), fatal: session[state].fatal }
}

export function takenOff(
  session: Session,
  { id }: PlanItem
): readonly string[] {
  return session[state].takenOff.get(id) ?? []
}

export function recordTakenOff(
  session: Session,
  item: PlanItem,
  references: readonly string[]
): void {
  const all = new Set([...takenOff(session, item), ...references])
  session[state].takenOff.set(item.id, [...all])
}

export function wasToldToStop(session: Session, { id }: PlanItem): boolean {
  return session[state].toldToStop.has(id)
}

export function recordStop(session: Session, items: readonly PlanItem[]): void {
  for (const { id } of items) session[state].toldToStop.add(id)
}

export function recordReported(session: Session, stdout: string): Set<string> {
  const reported = readReportedIds(stdout)
  for (const id of reported) session[state].reportedIds.add(id)
  return reported
}

/** Whether the engine has reported that it stopped or removed a container. */
export function isReported(session: Session, { id }: PlanItem): boolean {
  return session[state].reportedIds.has(id)
}

/** Runs a call that may change the items. If it breaks off, `read` gets its output, then the unrecorded items fail. */
export async function attempt<T>(
  session: Session,
  items: readonly PlanItem[],
  change: () => Promise<T>,
  read: (stdout: string) => void = () => undefined
): Promise<T> {
  try {
    return await change()
  } catch (error) {
    const { message, stdout } = asDockerError(error)
    read(stdout)
    const detail = `removal was interrupted; it may have been deleted: ${message}`
    for (const item of items)
      record(session, item, { outcome: 'failed', detail })
    throw error
  }
}

/** Finds the items that are gone or have changed, and records them. Returns the others. */
export async function stillPlanned(
  session: Session,
  kind: RemovableKind,
  items: readonly PlanItem[]
): Promise<PlanItem[]> {
  if (items.length === 0) return []
  const ids = items.map(({ id }) => id)
  const asked = new Set([...ids, ...neighboursOf(items, session.inventory)])
  const seen = await look(session.guard, kind, [...asked])
  return dropChanged(session, kind, items, seen)
}

/** The items that a look shows as planned. Records the others. */
export function dropChanged(
  session: Session,
  kind: RemovableKind,
  items: readonly PlanItem[],
  seen: SecondLook
): PlanItem[] {
  return items.filter((item) => {
    const change = session.recheck[kind](item, seen)
    if (change === undefined) return true
    const target = commands[kind].target(item, session.inventory.engine)
    const removed = change === 'gone' && session[state].reportedIds.has(target)
    record(session, item, removed ? { outcome: 'removed' } : readChange(change))
    return false
  })
}

/** Asks the engine about things, about what may need them, and about the current state of some `containers`. */
export function lookAt(
  { guard }: Session,
  kind: Inspectable,
  ids: readonly string[],
  containers: readonly string[] = []
): Promise<SecondLook> {
  return lookAtEngine(guard, kind, ids, containers)
}
