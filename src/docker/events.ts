import type { Engine, EngineEvent } from '../policy/inventory.ts'
import { succeed, type Docker } from './cli.ts'
import { eventSchema, readJsonLines } from './schemas.ts'

/**
 * The events that the engine still knows, the oldest first: its last 256 of all kinds, since it was started. Throws a
 * DockerError where it does not tell: without them, what was pulled or loaded a moment ago would pass for old.
 */
export async function readEventLog(
  docker: Docker,
  engine: Engine
): Promise<EngineEvent[]> {
  const until = (engine.now / 1_000).toFixed(3)
  const args = ['events', '--since', '1', '--until', until]
  const output = await docker([...args, '--format', '{{json .}}'])
  return readEvents(succeed(output, 'events').stdout)
}

/** Reads events, one a line. */
export function readEvents(lines: string): EngineEvent[] {
  return readJsonLines(lines, eventSchema, 'events').map((event) => ({
    at: event.timeNano / 1e6,
    type: event.Type,
    action: event.Action,
    id: event.Actor.ID,
    image: event.Actor.Attributes['image'] ?? ''
  }))
}
