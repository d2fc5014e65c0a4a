import { setTimeout as sleep } from 'node:timers/promises'
import { countForOneCall } from '../docker/cli.ts'
import { type Output, wordsOf } from '../docker/errors.ts'
import { isStopped, type PlanItem } from '../model/plan.ts'
import { largestBatch } from './commands.ts'
import { isBeingRemoved } from './recheck.ts'
import {
  fail,
  isRecorded,
  isReported,
  lookAt,
  record,
  recordReported,
  recordStop,
  type Session,
  stillPlanned,
  wasToldToStop,
  whyOver
} from './session.ts'

/** Seconds in which a container may exit before the engine kills it. */
const stopTime = '10'

/** No stop begins in the last milliseconds before the deadline: the grace time is no longer than a stop. */
const stopMargin = 5_000

/** Whether a stop that begins at `start` (as Date.now() counts) has time to finish. */
export function hasTimeToStop(
  { deadline }: Session,
  start = Date.now()
): boolean {
  return start + stopMargin < deadline
}

/** Stops the running containers among the items, and returns the items that can be removed now. */
export async function stopContainers(
  session: Session,
  items: readonly PlanItem[]
): Promise<PlanItem[]> {
  const queue = items.filter(isStopped)
  while (queue.length > 0 && !whyOver(session) && hasTimeToStop(session)) {
    const ids = queue.slice(0, largestBatch).map(({ id }) => id)
    const batch = queue.splice(0, countForOneCall(ids, largestBatch))
    try {
      const planned = await planStops(session, batch)
      const { running } = await stop(session, planned)
      for (const item of running) await stopAlone(session, item)
    } catch (error) {
      fail(session, error)
    }
  }
  return items.filter(
    (item) =>
      !isRecorded(session, item) &&
      (!isStopped(item) || wasToldToStop(session, item))
  )
}

/** The items that can still be stopped. One that is dropped may keep others of its compose project running. */
async function planStops(
  session: Session,
  items: readonly PlanItem[]
): Promise<PlanItem[]> {
  const left = await stillPlanned(session, 'container', items)
  return left.length < items.length ? planStops(session, left) : left
}

/** Stops the containers that stay. */
export async function stopOnly(
  session: Session,
  items: readonly PlanItem[]
): Promise<void> {
  const stopped = await stopContainers(session, items)
  for (const item of stopped.filter((one) => isReported(session, one)))
    record(session, item, {
      outcome: 'kept',
      stopped: true,
      detail: `stopped; was ${item.decision.detail}`
    })
}

/** Stops containers with one call. Returns those that the engine does not report as stopped. */
export async function stop(
  session: Session,
  items: readonly PlanItem[]
): Promise<{ running: PlanItem[]; output: Output }> {
  const ids = items.map(({ id }) => id)
  if (ids.length === 0)
    return { running: [], output: { exitCode: 0, stdout: '', stderr: '' } }
  recordStop(session, items)
  const args = ['container', 'stop', '--time', stopTime, '--', ...ids]
  const output = await session.docker(args)
  // A container that was started with --rm is removed by the engine once it has stopped.
  const stopped = recordReported(session, output.stdout)
  return { running: items.filter(({ id }) => !stopped.has(id)), output }
}

/** Stops one container, so that the engine's words are about this one, and records it where that fails. */
async function stopAlone(session: Session, item: PlanItem): Promise<void> {
  const { running, output } = await stop(session, [item])
  const [left] = await stillPlanned(session, 'container', running)
  if (left !== undefined)
    record(session, left, {
      outcome: 'failed',
      detail: wordsOf(output, 'container stop')
    })
}

/** Stops a container that may have started again. Returns whether it may still be removed. */
export async function stopAgain(
  session: Session,
  item: PlanItem
): Promise<boolean> {
  const isStillPlanned = async () =>
    !whyOver(session) &&
    !isRecorded(session, item) &&
    (await stillPlanned(session, 'container', [item])).length > 0
  if (!hasTimeToStop(session) || !(await isStillPlanned())) return false
  await stopAlone(session, item)
  return isStillPlanned()
}

/** Waits until the engine has removed the stopped containers that it removes by itself. */
export async function waitForEngine(
  session: Session,
  items: readonly PlanItem[]
): Promise<void> {
  const stopped = items.filter((item) => wasToldToStop(session, item))
  const ids = stopped.map(({ id }) => id)
  for (let tries = 0; ids.length > 0 && tries < 20; tries += 1) {
    const { containers } = await lookAt(session, 'container', ids)
    const left = ids.flatMap((id) => containers.get(id) ?? [])
    if (!left.some(isBeingRemoved)) return
    await sleep(250)
  }
}
