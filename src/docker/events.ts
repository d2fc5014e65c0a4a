import type { Engine, EngineEvent } from '../model/inventory.ts'
import type { CallOptions, Docker } from './cli.ts'
import { succeed } from './errors.ts'
import { readJsonLines } from './json.ts'
import { podmanEvent, podmanLogEnd } from './podman.ts'
import { eventSchema } from './schemas.ts'

const attributes = ['image', 'name', 'container'].map(
  (name) => `"${name}":{{json (index .Actor.Attributes "${name}")}}`
)

/** Leaves out the labels of a container and the command of an exec, which can be megabytes (F41). */
export const eventFormat = `{"Type":{{json .Type}},"Action":{{json (printf "%.99s" .Action)}},"Actor":{"ID":{{json .Actor.ID}},"Attributes":{${attributes.join(',')}}},"timeNano":{{.TimeNano}}}`

/** The last 256 events since the engine started, the oldest first: without them, an image pulled just now looks old. */
export async function readEventLog(
  docker: Docker,
  engine: Engine
): Promise<EngineEvent[]> {
  const { kind, now } = engine
  const end = kind === 'podman' ? podmanLogEnd(now) : now
  return readEvents(await printEventLog(docker, '1', end), engine)
}

/**
 * Prints the log from `since`, in seconds, up to an instant of the engine's clock, in milliseconds; waits for one that is
 * to come (F51).
 */
export async function printEventLog(
  docker: Docker,
  since: string,
  end: number,
  options: CallOptions = {}
): Promise<string> {
  const until = (end / 1_000).toFixed(3)
  const args = ['events', '--since', since, '--until', until]
  const output = await docker([...args, '--format', eventFormat], options)
  return succeed(output, 'events').stdout
}

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
      name,
      // In an event of a container, this attribute is a label.
      container: raw.Type === 'container' ? '' : container
    }
    return kind === 'podman' ? podmanEvent(event, name) : event
  })
}
