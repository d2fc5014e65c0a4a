import type { Container, Inventory, Volume } from './inventory.ts'

/** A builder of buildx: the container that it runs in and the volume that holds its state. One of them may be gone. */
export type Builder = {
  /** The ID of its container, or the name of the volume where that is all that is left. */
  id: string
  name: string
  container: Container | undefined
  volume: Volume | undefined
}

/** What buildx calls the container of a node: it takes names that begin with a letter, and writes them small. */
const builderName = /^buildx_buildkit_[a-z][a-z0-9._-]*$/

const stateSuffix = '_state'

export function isBuilder({ name }: Pick<Container, 'name'>): boolean {
  return builderName.test(name)
}

/** Finds the builders: containers by their name, each with its state, and state volumes whose container is gone. */
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

/** A build, or whoever else talks to a builder, is a process that `docker exec` runs in it. */
export function hasNoClient({ execs }: Container): boolean {
  return execs?.length === 0
}

/** What builders hold in bytes, by their ID: what their containers have written, and their state. */
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
