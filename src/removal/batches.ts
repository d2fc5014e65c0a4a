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
import { readRefusal } from './refusal.ts'
import {
  attempt,
  fail,
  isRecorded,
  record,
  recordReported,
  type Session,
  stillPlanned,
  takenOff,
  wasToldToStop,
  whyOver
} from './session.ts'

/** Milliseconds that a batch should last. A change during a batch goes unseen. */
const batchTime = 1_000

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
      const batch = queue.splice(0, countForBatch(queue, size))
      try {
        const pace = await removeBatch(session, kind, batch)
        if (pace > 0) {
          const inTime = Math.round(pace * batchTime)
          size = Math.min(Math.max(inTime, 1), largestBatch)
        }
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
  const ids = some.map(({ id }) => id)
  return countForOneCall(ids, size)
}

/** Removes a batch. Returns the items removed per millisecond; 0 if all were gone already or have changed. */
async function removeBatch(
  session: Session,
  kind: RemovableKind,
  batch: readonly PlanItem[]
): Promise<number> {
  const planned = await stillPlanned(session, kind, batch)
  const start = Date.now()
  const whole = kind === 'image' ? await untagFirst(session, planned) : planned
  const untagged = whole.some((item) => takenOff(session, item).length > 0)
  // Untagging takes time, in which somebody may have tagged an image again.
  const left = untagged ? await stillPlanned(session, kind, whole) : whole
  if (left.length > 0 && !whyOver(session))
    await removeWhole(session, kind, left)
  return planned.length / Math.max(Date.now() - start, 1)
}

async function removeWhole(
  session: Session,
  kind: RemovableKind,
  items: readonly PlanItem[]
): Promise<void> {
  const output = await remove(session, kind, items)
  const unclear = items.filter((item) => !isRecorded(session, item))
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
    const outcome = readRefusal(output, `${kind} rm`)
    const again = outcome.outcome === 'kept' && wasToldToStop(session, item)
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
  const output = await attempt(
    session,
    items,
    // Large files take long to delete, and a call that is cut short leaves its outcome unknown.
    () => session.docker(call, { limit: Infinity }),
    read
  )
  read(output.stdout)
  return output
}

function leftAfterRemoval(
  session: Session,
  kind: RemovableKind,
  items: readonly PlanItem[]
): Promise<PlanItem[]> {
  return attempt(session, items, () =>
    stillPlanned(session, kind, items, (tried, look) =>
      recordLostReferences(session, tried, look)
    )
  )
}
