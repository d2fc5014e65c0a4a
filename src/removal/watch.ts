import { execa } from 'execa'
import type { Engine, EngineEvent } from '../model/inventory.ts'
import { eventFormat, readEvents } from '../docker/events.ts'

/** A stream of the engine's events, as they happen. */
export type Watch = {
  /** Everything that has happened since the watch began, the oldest first. */
  events: () => EngineEvent[]
  /** Whether something has come already, and all of it could be read until now. */
  isLive: () => boolean
}

/**
 * Watches an engine from the moment of its clock at which it was asked who it is: no later than the listing. Events
 * that do not come for a while are only less to go by; that the stream broke off or cannot be read is told once, and
 * nothing fails.
 */
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
    /** Ends the watch. */
    signal: AbortSignal
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
  const tell = () => {
    if (!broken && !signal.aborted) onBroken()
    broken = true
  }
  const read = async () => {
    for await (const line of stream)
      try {
        events.push(...readEvents(line, engine))
      } catch {
        // The next lines may be read again; and a stream that nobody reads would block.
        tell()
      }
  }
  read().then(tell, tell)
  return { events: () => events, isLive: () => events.length > 0 && !broken }
}
