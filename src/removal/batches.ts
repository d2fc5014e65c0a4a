import { countForOneCall } from '../docker/cli.ts'
import type { Output } from '../docker/errors.ts'
import type { PlanItem } from '../model/plan.ts'
import { commands, largestBatch, type RemovableKind } from './commands.ts'
import { stopAgain, waitForEngine } from './containers.ts'
import {
  recordLostReferences,
  referencesToUntag,
  untagFirst
} from './references.ts'
import { kept, readRefusal } from './refusal.ts'
import {
  expectRemoved,
  isTouched,
  trustsStream,
  wasInHand,
  whileChanging,
  whileRemoving
} from './guard.ts'
import {
  attempt,
  dropChanged,
  fail,
  isRecorded,
  lookAt,
  record,
  recordReported,
  type Session,
  stillPlanned,
  takenOff,
  wasToldToStop,
  whyOver
} from './session.ts'

/** Milliseconds that a batch should last, and its items, at most. Without the event stream, a change during a batch goes unseen. */
const unwatched = { time: 1_000, most: largestBatch }

/** With the stream, which ends the removal of images that change. Small enough to end after a cancel. */
const watched = { time: 2_000, most: 50 }

const firstBatch = 8

/** Podman ignores a stop between an exit and a restart: one in twenty stops of a container that keeps failing. */
const mostStops = 5

/** Removes items of one kind, some batches side by side, as large as the engine's pace allows. */
export async function removeInBatches(
  session: Session,
  kind: RemovableKind,
  items: readonly PlanItem[]
): Promise<void> {
  const queue = [...items]
  let size = firstBatch
  async function lane(): Promise<void> {
    while (queue.length > 0 && !whyOver(session)) {
      const isWatched = kind === 'image' && trustsStream(session.guard)
      const { time, most } = isWatched ? watched : unwatched
      const batch = queue.splice(0, countForBatch(queue, Math.min(size, most)))
      try {
        const pace = await removeBatch(session, kind, batch)
        if (pace > 0)
          size = Math.min(Math.max(Math.round(pace * time), 1), most)
      } catch (error) {
        fail(session, error)
      }
    }
  }
  await Promise.all(Array.from({ length: session.concurrency }, lane))
}

/** How many of the first items make up a batch: no more than `size`, and few that are untagged one by one. */
function countForBatch(items: readonly PlanItem[], size: number): number {
  const next = items.slice(0, size)
  let references = 0
  const tooMany = next.findIndex((item) => {
    references += referencesToUntag(item).length
    return references > firstBatch
  })
  const some = tooMany < 0 ? next : next.slice(0, Math.max(tooMany, 1))
  return countForOneCall(idsOf(some), size)
}

/** Removes a batch. Returns the items removed per millisecond; 0 if all were gone already or have changed. */
export async function removeBatch(
  session: Session,
  kind: RemovableKind,
  batch: readonly PlanItem[]
): Promise<number> {
  const planned = await stillPlanned(session, kind, batch)
  const start = Date.now()
  await whileChanging(session.guard, idsOf(planned), async () => {
    const whole =
      kind === 'image' ? await untagFirst(session, planned) : planned
    const untagged = whole.some((item) => takenOff(session, item).length > 0)
    // Untagging takes time, in which somebody may have tagged an image again.
    const left = untagged ? await stillPlanned(session, kind, whole) : whole
    if (left.length > 0 && !whyOver(session))
      await removeWhole(session, kind, left)
  })
  return planned.length / Math.max(Date.now() - start, 1)
}

function idsOf(items: readonly PlanItem[]): string[] {
  return items.map(({ id }) => id)
}

async function removeWhole(
  session: Session,
  kind: RemovableKind,
  items: readonly PlanItem[]
): Promise<void> {
  const output = await remove(session, kind, items)
  const unclear = items.filter((item) => !isRecorded(session, item))
  if (isKilled(output)) {
    const touched = unclear.filter(({ id }) => isTouched(session.guard, id))
    await leftAfterRemoval(session, kind, touched)
    const left = unclear.filter((item) => !isRecorded(session, item))
    await removeBatch(session, kind, left)
    return
  }
  await waitForEngine(session, unclear)
  for (const item of await leftAfterRemoval(session, kind, unclear)) {
    if (whyOver(session)) {
      // The engine's words are about this item only if it was alone.
      if (items.length === 1)
        record(session, item, readRefusal(output, `${kind} rm`))
      return
    }
    await removeAlone(session, kind, item)
  }
}

/** Tries one item again, so that the engine's words are about this one. */
async function removeAlone(
  session: Session,
  kind: RemovableKind,
  item: PlanItem
): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    if (wasToldToStop(session, item) && !(await stopAgain(session, item)))
      return
    const output = await remove(session, kind, [item])
    const unclear = isRecorded(session, item) ? [] : [item]
    const [left] = await leftAfterRemoval(session, kind, unclear)
    if (left === undefined) return
    const outcome = isKilled(output)
      ? kept('others kept changing it')
      : readRefusal(output, `${kind} rm`)
    const restarted = outcome.outcome === 'kept' && wasToldToStop(session, item)
    const again = restarted || isKilled(output)
    if (!again || tries === mostStops || whyOver(session)) {
      record(session, left, outcome)
      return
    }
  }
}

async function remove(
  session: Session,
  kind: RemovableKind,
  items: readonly PlanItem[]
): Promise<Output> {
  const { args, target } = commands[kind]
  const targetOf = (item: PlanItem) => target(item, session.inventory.engine)
  const read = (stdout: string) => {
    const reported = recordReported(session, stdout)
    for (const item of items)
      if (reported.has(targetOf(item)))
        record(session, item, { outcome: 'removed' })
  }
  const call = [...args, '--', ...items.map(targetOf)]
  const ids = idsOf(items)
  const output = await attempt(
    session,
    items,
    () =>
      whileRemoving(session.guard, ids, (kill) =>
        // Large files take long to delete, and a call that is cut short leaves its outcome unknown.
        session.docker(call, {
          limit: Infinity,
          ...(kind === 'image' ? { kill } : { unless: kill })
        })
      ),
    read
  )
  read(output.stdout)
  const next = items.find((item) => !isRecorded(session, item))
  if (isKilled(output) && next && (await wasInHand(session.guard, next.id)))
    record(session, next, { outcome: 'removed' })
  await expectRemoved(
    session.guard,
    idsOf(items.filter((item) => isRecorded(session, item)))
  )
  return output
}

/** Whether the call was ended because the event stream spoke of one of its images. */
function isKilled({ exitCode }: Output): boolean {
  return Number.isNaN(exitCode)
}

function leftAfterRemoval(
  session: Session,
  kind: RemovableKind,
  items: readonly PlanItem[]
): Promise<PlanItem[]> {
  return attempt(session, items, async () => {
    if (items.length === 0) return []
    const seen = await lookAt(session, kind, idsOf(items))
    await recordLostReferences(session, items, seen)
    return dropChanged(session, kind, items, seen)
  })
}
