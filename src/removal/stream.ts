import { execa } from 'execa'
import { eventFormat, readEvents } from '../docker/events.ts'
import type { Engine, EngineEvent } from '../model/inventory.ts'

export type EventStream = {
  /** Calls `onEvent` for every event since the engine's clock was read, which was before the listing. */
  listen: (onEvent: (event: EngineEvent) => void) => void
  /** Whether an event has arrived, and every line so far could be read. */
  isLive: () => boolean
  /** Why there is no more to come, or why not all of it can be read. */
  problem: () => string | undefined
  /** Whether a line of the event log has arrived. Lines up to an instant can be forgotten. */
  has: (line: string) => boolean
  forget: (until: number) => void
  /** The time of the first event that has arrived; Infinity before. */
  first: () => number
  /** The engine's clock, never ahead of it; milliseconds since 1970. */
  now: () => number
}

/** For a dry run, which removes nothing. */
export const noStream: EventStream = {
  listen: () => undefined,
  isLive: () => false,
  problem: () => 'a dry run does not listen',
  has: () => false,
  forget: () => undefined,
  first: () => Infinity,
  now: () => 0
}

type StreamOptions = {
  command: string
  env: Record<string, string | undefined>
  signal: AbortSignal
}

/** Starts `docker events`, from the time at which the engine's clock was read. Never fails. */
export function streamEvents(
  engine: Engine,
  options: StreamOptions
): EventStream {
  const events: EngineEvent[] = []
  const listeners: ((event: EngineEvent) => void)[] = []
  /** The lines that have arrived, with the times of their events. */
  const lines = new Map<string, number>()
  // The clock was read before its answer came.
  const started = performance.now()
  let problem: string | undefined
  const read = async () => {
    for await (const line of startProcess(engine, options))
      try {
        for (const event of readEvents(line, engine)) {
          lines.set(line, event.at)
          events.push(event)
          for (const onEvent of listeners) onEvent(event)
        }
      } catch {
        // The next lines may be readable, and an unread stream would block.
        problem ??= 'an event could not be read'
      }
  }
  const end = () => {
    problem ??= 'the stream ended'
  }
  read().then(end, end)
  return {
    listen: (onEvent) => {
      events.forEach(onEvent)
      listeners.push(onEvent)
    },
    isLive: () => events.length > 0 && problem === undefined,
    problem: () => problem,
    has: (line) => lines.has(line),
    forget: (until) => {
      for (const [line, at] of lines) if (at <= until) lines.delete(line)
    },
    first: () => events[0]?.at ?? Infinity,
    now: () => {
      const latest = events.at(-1)?.at ?? 0
      return Math.max(latest, engine.now + performance.now() - started)
    }
  }
}

function startProcess(
  engine: Engine,
  { command, env, signal }: StreamOptions
): AsyncIterable<string> {
  const since = (engine.now / 1_000).toFixed(6)
  return execa(command, ['events', '--since', since, '--format', eventFormat], {
    env,
    extendEnv: false,
    stdin: 'ignore',
    stderr: 'ignore',
    buffer: false,
    reject: false,
    cancelSignal: signal,
    killDescendants: true,
    forceKillAfterDelay: 1_000
  })
}
