import type { Engine, EngineEvent } from '../model/inventory.ts'
import type { Docker } from './cli.ts'
import { succeed } from './errors.ts'
import { podmanEvent, podmanLogEnd } from './podman.ts'
import { readJsonLines } from './json.ts'
import { eventSchema } from './schemas.ts'

const attribute = (name: string) =>
  `"${name}":{{json (index .Actor.Attributes "${name}")}}`

/**
 * What is asked of each event: one of a container has all labels of it, which can be megabytes, and of an exec the whole
 * command (F41).
 */
export const eventFormat = `{"Type":{{json .Type}},"Action":{{json (printf "%.99s" .Action)}},"Actor":{"ID":{{json .Actor.ID}},"Attributes":{${['image', 'name', 'container'].map(attribute).join(',')}}},"timeNano":{{.TimeNano}}}`

/**
 * The events that the engine still knows, the oldest first: its last 256 of all kinds, since it was started. Throws a
 * DockerError where it does not tell: without them, what was pulled or loaded a moment ago would pass for old.
 */
export async function readEventLog(
  docker: Docker,
  engine: Engine
): Promise<EngineEvent[]> {
  const { kind, now } = engine
  const end = kind === 'podman' ? podmanLogEnd(now) : now
  const until = (end / 1_000).toFixed(3)
  const args = ['events', '--since', '1', '--until', until]
  const output = await docker([...args, '--format', eventFormat])
  return readEvents(succeed(output, 'events').stdout, engine)
}

/** Reads events, one a line. */
export function readEvents(
  lines: string,
  { kind }: Pick<Engine, 'kind'>
): EngineEvent[] {
  return readJsonLines(lines, eventSchema, 'events').map((raw) => {
    const { image = '', name = '', container = '' } = raw.Actor.Attributes
    const event = {
      at: raw.timeNano / 1e6,
      type: raw.Type,
      action: raw.Action,
      id: raw.Actor.ID,
      image,
      // Of an event of a container itself, that would be a label of it.
      container: raw.Type === 'container' ? '' : container
    }
    return kind === 'podman' ? podmanEvent(event, name) : event
  })
}
