import type { Image, Inventory } from '../model/inventory.ts'
import { usesInLog } from '../policy/evidence.ts'
import { isTag } from '../model/patterns.ts'
import { needsOf } from '../model/needs.ts'
import type { SecondLook } from './recheck.ts'
import type { Docker } from '../docker/cli.ts'
import type { Watch } from './watch.ts'
import { type Inspectable, type Inspected } from '../docker/inspect.ts'
import {
  findUnchanged,
  inspectImages,
  inspectNetworks,
  inspectVolumes,
  listContainersAgain
} from '../docker/inventory.ts'
import { listServices } from '../docker/services.ts'
import { traitsOf } from '../docker/traits.ts'

/**
 * Reads again what could speak against the removal of some things: all containers but those that are `gone`, with the
 * state of those whose state is `changing`, and the things themselves.
 */
export async function lookAgain(
  docker: Docker,
  inventory: Inventory,
  watch: Watch,
  kind: Inspectable,
  ids: readonly string[],
  others: { changing: (id: string) => boolean; gone: (id: string) => boolean }
): Promise<SecondLook> {
  const { engine, images: allImages } = inventory
  const nothing = { found: [], unreadable: [] }
  const [containers, services, networks, images, volumes] = await Promise.all([
    listContainersAgain(docker, inventory, others),
    inventory.services && listServices(docker, engine),
    kind === 'network' ? inspectNetworks(docker, engine, ids) : nothing,
    kind === 'image' ? lookAtImages(docker, inventory, watch, ids) : nothing,
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
    // What the plan knew of them holds, where their manager cannot be asked any more.
    needs: needsOf([...containers, ...(services ?? inventory.services ?? [])], {
      containers,
      images: allImages
    }),
    containers: byKey(containers, ({ id }) => id),
    networks: byKey(networks.found, ({ id }) => id),
    images: byKey(images.found, ({ id }) => id),
    volumes: byKey(volumes.found, ({ name }) => name),
    usedSince: (id) => uses(id).at(-1)?.of,
    isUnreadable: (id) => unreadable.has(id)
  }
}

/**
 * Images by ID. Where it takes long to find one, those that this run has inspected once and that a listing shows as they
 * were count as unchanged: as long as the watch tells of what was tagged or pulled again to the same ID.
 */
async function lookAtImages(
  docker: Docker,
  { engine, images }: Inventory,
  watch: Watch,
  ids: readonly string[]
): Promise<Inspected<Image>> {
  const asked = new Set(ids)
  const listed =
    traitsOf(engine).findsImagesSlowly && watch.isLive()
      ? images.filter(
          ({ id, remembered, references }) =>
            // A listing by reference shows no digests: these may have been taken off.
            asked.has(id) && !remembered && references.every(isTag)
        )
      : []
  const found = await findUnchanged(docker, engine, listed)
  const unchanged = watch.isLive() ? found : []
  for (const { id } of unchanged) asked.delete(id)
  const inspected = await inspectImages(docker, engine, [...asked])
  return { ...inspected, found: [...unchanged, ...inspected.found] }
}

/** A map of things by their ID, or by what else each of them is known by. */
export function byKey<T>(
  things: readonly T[],
  key: (thing: T) => string
): Map<string, T> {
  return new Map(things.map((thing) => [key(thing), thing]))
}
