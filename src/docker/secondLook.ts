import type { Inventory } from '../policy/inventory.ts'
import { usesInLog } from '../policy/evidence.ts'
import { needsOf } from '../policy/needs.ts'
import type { SecondLook } from '../policy/recheck.ts'
import type { Docker } from './cli.ts'
import type { Watch } from './watch.ts'
import { type Inspectable, type Inspected } from './inspect.ts'
import {
  inspectImages,
  inspectNetworks,
  inspectVolumes,
  listContainers
} from './inventory.ts'

/**
 * Reads again what could speak against the removal of some things: all containers, and the things themselves. Which
 * image, volumes and other containers one needs is fixed when it is made; networks and its state are not.
 */
export async function lookAgain(
  docker: Docker,
  inventory: Inventory,
  watch: Watch,
  kind: Inspectable,
  ids: readonly string[]
): Promise<SecondLook> {
  const { engine, images: allImages } = inventory
  const changing = new Set(kind === 'container' ? ids : [])
  const known =
    kind === 'network'
      ? []
      : inventory.containers.filter(({ id }) => !changing.has(id))
  const nothing = { found: [], unreadable: [] }
  const [containers, networks, images, volumes] = await Promise.all([
    listContainers(docker, engine, known),
    kind === 'network' ? inspectNetworks(docker, engine, ids) : nothing,
    kind === 'image' ? inspectImages(docker, engine, ids) : nothing,
    kind === 'volume' ? inspectVolumes(docker, ids) : nothing
  ])
  const unreadable = new Set(
    [networks, images, volumes].flatMap(
      (one: Inspected<unknown>) => one.unreadable
    )
  )
  const uses = usesInLog({ ...inventory, events: watch.events() })
  return {
    now: engine.now,
    needs: needsOf(containers, { containers, images: allImages }),
    containers: byKey(containers, ({ id }) => id),
    networks: byKey(networks.found, ({ id }) => id),
    images: byKey(images.found, ({ id }) => id),
    volumes: byKey(volumes.found, ({ name }) => name),
    usedSince: (id) => uses(id).at(-1)?.of,
    isUnreadable: (id) => unreadable.has(id)
  }
}

/** A map of things by their ID, or by what else each of them is known by. */
export function byKey<T>(
  things: readonly T[],
  key: (thing: T) => string
): Map<string, T> {
  return new Map(things.map((thing) => [key(thing), thing]))
}
