import { execa } from 'execa'
import { eventFormat, readEvents } from '../docker/events.ts'
import type { Engine, EngineEvent } from '../model/inventory.ts'

export type Watch = {
  /** All events since the watch began, oldest first. */
  events: () => EngineEvent[]
  /** Whether an event has arrived, and every line so far could be read. */
  isLive: () => boolean
}

/** Watches an engine's events from the time at which its clock was read, which is before the listing. Never fails. */
export function watchEngine(
  engine: Engine,
  {
    command,
    env,
    signal,
    onBroken
  }: {
    command: string
    env: Record<string, string | undefined>
    signal: AbortSignal
    /** Called once if the stream ends or cannot be read. */
    onBroken: () => void
  }
): Watch {
  const events: EngineEvent[] = []
  const since = (engine.now / 1_000).toFixed(6)
  const stream = execa(
    command,
    ['events', '--since', since, '--format', eventFormat],
    {
      env,
      extendEnv: false,
      stdin: 'ignore',
      stderr: 'ignore',
      buffer: false,
      reject: false,
      cancelSignal: signal,
      killDescendants: true,
      forceKillAfterDelay: 1_000
    }
  )
  let broken = false
  const reportBroken = () => {
    if (!broken && !signal.aborted) onBroken()
    broken = true
  }
  const read = async () => {
    for await (const line of stream)
      try {
        events.push(...readEvents(line, engine))
      } catch {
        // The next lines may be readable, and an unread stream would block.
        reportBroken()
      }
  }
  read().then(reportBroken, reportBroken)
  return { events: () => events, isLive: () => events.length > 0 && !broken }
}
