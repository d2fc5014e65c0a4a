import type { Docker } from '../docker/cli.ts'
import { listContainersAgain } from '../docker/containers.ts'
import { findUnchanged, inspectImages } from '../docker/images.ts'
import type { Inspectable, Inspected } from '../docker/inspect.ts'
import { inspectNetworks } from '../docker/networks.ts'
import { listServices } from '../docker/services.ts'
import { traitsOf } from '../docker/traits.ts'
import { inspectVolumes } from '../docker/volumes.ts'
import { usesInLog } from '../model/evidence.ts'
import {
  byKey,
  type Container,
  type Image,
  type Inventory,
  type Network,
  type Volume
} from '../model/inventory.ts'
import { type Needs, needsOf } from '../model/needs.ts'
import { isTag } from '../model/references.ts'
import type { Watch } from './watch.ts'

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

/**
 * What is read again right before a batch of removals: what all containers need now (those that were to go are gone,
 * so that whichever is still there holds what it needs), and the things of the batch itself.
 */
export type SecondLook = {
  now: number
  needs: Needs
  containers: ReadonlyMap<string, Container>
  networks: ReadonlyMap<string, Network>
  images: ReadonlyMap<string, Image>
  volumes: ReadonlyMap<string, Volume>
  /** What the engine's events say of the use of something since the listing: `pulled`, `last used by a container`. */
  usedSince: (id: string) => string | undefined
  /** The engine has it, but does not tell of it. */
  isUnreadable: (id: string) => boolean
}
