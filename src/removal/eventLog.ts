import { setTimeout as sleep } from 'node:timers/promises'
import type { Docker } from '../docker/cli.ts'
import { optional } from '../docker/errors.ts'
import { printEventLog, readEvents } from '../docker/events.ts'
import type { Engine, EngineEvent, Inventory } from '../model/inventory.ts'
import type { EventStream } from './stream.ts'

/** The check that the stream has lost nothing: the engine logs its last 256 events. */
export type LogCheck = {
  docker: Docker
  engine: Engine
  stream: EventStream
  /** The time of the oldest event at the listing; Infinity without any. */
  first: number
  /** All events up to this instant of the engine's clock are known. */
  until: number
  /** The last line that was read: the next reading begins there. */
  last: string
  /** As performance.now() counts. */
  checkedAt: number
  /** Since then: events in the stream, and removals. */
  events: number
  removals: number
  /** Milliseconds that the stream may lag behind. */
  patience: number
  isUnreadable: boolean
  running: Promise<string | undefined> | undefined
  /** Called with each event that the stream has not shown yet, or has lost. */
  onMissing: (event: EngineEvent) => void
}

const complete = 'complete'

/** Removals or events between two checks: the engine logs the last 256 events, and more come during a check. */
const mostBetween = 100

/** Milliseconds between two checks, at most. */
const checkInterval = 2_000

export const longestLag = 500

export const pause = 5

/** Milliseconds. If the engine's clock was set back, it would wait until the log's end has come (F51). */
const longestReading = 5_000

export function createLogCheck(
  docker: Docker,
  { engine, events }: Pick<Inventory, 'engine' | 'events'>,
  stream: EventStream,
  onMissing: LogCheck['onMissing']
): LogCheck {
  return {
    onMissing,
    ...{ docker, engine, stream, first: events[0]?.at ?? Infinity },
    ...{ until: engine.now, last: '', checkedAt: -Infinity },
    ...{ events: 0, removals: 0, running: undefined, patience: longestLag },
    isUnreadable: false
  }
}

/** Whether the log has to be read before another removal. */
export function isDue(check: LogCheck): boolean {
  return (
    check.removals >= mostBetween ||
    performance.now() - check.checkedAt >= checkInterval
  )
}

/** Whether so many events have come that the log will soon drop some. */
export function isFillingUp({ events, running }: LogCheck): boolean {
  return events >= mostBetween && running === undefined
}

/** Compares the log with the stream. Returns why the stream is not complete. Callers at the same time share a check. */
export function checkLog(check: LogCheck): Promise<string | undefined> {
  check.running ??= optional(compare(check))
    .then((result) => {
      check.isUnreadable = result === undefined
      return result === complete
        ? undefined
        : (result ?? 'the event log could not be read')
    })
    .finally(() => {
      check.running = undefined
    })
  return check.running
}

async function compare(check: LogCheck): Promise<string> {
  const { stream, until: since, events, removals } = check
  const checkedAt = performance.now()
  // The log is printed up to a whole millisecond: what comes after that is left for the next check.
  const until = Math.floor(stream.now())
  // Waiting for removals to end would let the log drop events.
  const options = { aside: true, limit: longestReading }
  const from = check.last === '' ? '1' : secondsOf(check.last)
  const text = await printEventLog(check.docker, from, until, options)
  const all = text.split('\n').filter(Boolean)
  const isWhole = reachesBack(check, all, until)
  const lines = all.filter((line) => !(timeOf(line) <= since))
  const lacking = () => lines.filter((line) => !stream.has(line))
  readEvents(lacking().join('\n'), check.engine).forEach(check.onMissing)
  for (let waited = 0; waited < check.patience; waited += pause) {
    if (lacking().length === 0) break
    await sleep(pause)
  }
  const isComplete = lacking().length === 0
  Object.assign(check, { until, checkedAt, last: all.at(-1) ?? check.last })
  check.events -= events
  check.removals -= removals
  stream.forget(until)
  if (!isWhole) return 'there were more events than the engine logs'
  return isComplete ? complete : 'the stream lacks events of the log'
}

/** Whether the log has dropped none of the events since the last check. */
function reachesBack(
  { stream, last, first: listed, until: since }: LogCheck,
  lines: readonly string[],
  until: number
): boolean {
  if (last !== '') return lines.includes(last)
  const [oldest] = lines
  const first = Math.min(listed, stream.first())
  return oldest === undefined
    ? first > until
    : timeOf(oldest) <= Math.max(since, first)
}

/** The time of an event, which stands at the end of its line, in milliseconds. */
function timeOf(line: string): number {
  return Number(nanosecondsOf(line) || NaN) / 1e6
}

function secondsOf(line: string): string {
  const text = nanosecondsOf(line)
  return `${text.slice(0, -9)}.${text.slice(-9)}`
}

function nanosecondsOf(line: string): string {
  return /\d+(?=\}$)/.exec(line)?.[0] ?? ''
}
