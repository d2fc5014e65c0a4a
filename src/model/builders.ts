import type { Container, Inventory, Volume } from './inventory.ts'
import { isRunning } from './needs.ts'

/** A builder of buildx: its container and the volume with its state. One of them may be gone. */
export type Builder = {
  /** The ID of its container, or the name of its volume if that is all that is left. */
  id: string
  name: string
  container: Container | undefined
  volume: Volume | undefined
}

/** buildx's name for the container of a node: in lower case, beginning with a letter. */
const builderName = /^buildx_buildkit_[a-z][a-z0-9._-]*$/

const stateSuffix = '_state'

export function isBuilder({ name }: Pick<Container, 'name'>): boolean {
  return builderName.test(name)
}

/** Finds builders by the names of their containers, and of state volumes whose container is gone. */
export function findBuilders({
  containers,
  volumes
}: Pick<Inventory, 'containers' | 'volumes'>): Builder[] {
  const states = new Map(
    volumes
      .filter(
        ({ name }) =>
          name.endsWith(stateSuffix) &&
          isBuilder({ name: name.slice(0, -stateSuffix.length) })
      )
      .map((volume) => [volume.name, volume])
  )
  const whole = containers.filter(isBuilder).map((container) => {
    const { id, name } = container
    return { id, name, container, volume: states.get(name + stateSuffix) }
  })
  for (const { volume } of whole) states.delete(volume?.name ?? '')
  const left = [...states.values()].map((volume) => {
    const { name } = volume
    return { id: name, name, container: undefined, volume }
  })
  return [...whole, ...left]
}

/** Whether it uses what it needs at this moment. A builder is idle while it runs without a client. */
export function isBusy(container: Container): boolean {
  return isRunning(container) && !isBuilder(container)
}

/** Every client of a builder, such as a build, is a `docker exec` process in it. */
export function hasNoClient({ execs }: Container): boolean {
  return execs?.length === 0
}

/** The bytes of builders by ID: written by the container, and the state. */
export function sizesOfBuilders(
  builders: readonly Builder[],
  sizes: Record<'containers' | 'volumes', ReadonlyMap<string, number>>
): Map<string, number> {
  return new Map(
    builders.flatMap(({ id, container, volume }) => {
      const written = container ? sizes.containers.get(id) : 0
      const state = volume ? sizes.volumes.get(volume.name) : 0
      return written === undefined || state === undefined
        ? []
        : [[id, written + state] as const]
    })
  )
}
