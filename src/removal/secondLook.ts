import type { Docker } from '../docker/cli.ts'
import { listContainersAgain } from '../docker/containers.ts'
import { findUnchanged, inspectImages } from '../docker/images.ts'
import type { Inspectable, Inspected } from '../docker/inspect.ts'
import { inspectNetworks } from '../docker/networks.ts'
import { listServices } from '../docker/services.ts'
import { traitsOf } from '../docker/traits.ts'
import { inspectVolumes } from '../docker/volumes.ts'
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

type Sources = {
  docker: Docker
  inventory: Inventory
  /** All containers with their needs, as far as known. */
  containers: readonly Container[]
  /** The swarm's services as last listed. */
  services: readonly Container[]
  usedSince: SecondLook['usedSince']
  /** Whether the event stream shows renewals that a listing does not. */
  isLive: () => boolean
}

/** Reads things again, and all containers but those `gone`. Inspects only containers that are new or `changing`. */
export async function lookAgain(
  sources: Sources,
  {
    kind,
    ids,
    ...others
  }: {
    kind: Inspectable
    ids: readonly string[]
    changing: (id: string) => boolean
    gone: (id: string) => boolean
  }
): Promise<SecondLook> {
  const { docker, inventory, usedSince } = sources
  const { engine, images: allImages } = inventory
  const nothing = { found: [], unreadable: [] }
  const [containers, services, networks, images, volumes] = await Promise.all([
    listContainersAgain(
      docker,
      { engine, containers: sources.containers },
      others
    ),
    inventory.services && listServices(docker, engine),
    kind === 'network' ? inspectNetworks(docker, engine, ids) : nothing,
    kind === 'image' ? lookAtImages(sources, ids) : nothing,
    kind === 'volume' ? inspectVolumes(docker, ids) : nothing
  ])
  const unreadable = new Set(
    [networks, images, volumes].flatMap(
      (one: Inspected<unknown>) => one.unreadable
    )
  )
  return {
    now: engine.now,
    // If the swarm's manager does not answer, its services need what they needed at the listing.
    needs: needsOf([...containers, ...(services ?? sources.services)], {
      containers,
      images: allImages
    }),
    containers: byKey(containers, ({ id }) => id),
    networks: byKey(networks.found, ({ id }) => id),
    images: byKey(images.found, ({ id }) => id),
    volumes: byKey(volumes.found, ({ name }) => name),
    usedSince,
    isUnreadable: (id) => unreadable.has(id),
    stranger: findStranger(inventory, containers)
  }
}

/**
 * Inspects images by ID. Where that is slow, an image that this run has inspected before is unchanged if a listing
 * shows the same tags. A listing shows no renewed tag or pull with the same ID, so this needs a live watch.
 */
async function lookAtImages(
  { docker, inventory, isLive }: Sources,
  ids: readonly string[]
): Promise<Inspected<Image>> {
  const { engine, images } = inventory
  const asked = new Set(ids)
  const listed =
    traitsOf(engine).findsImagesSlowly && isLive()
      ? images.filter(
          ({ id, remembered, references }) =>
            // A listing by reference shows no digests, so it misses one that was taken off.
            asked.has(id) && !remembered && references.every(isTag)
        )
      : []
  const found = await findUnchanged(docker, engine, listed)
  const unchanged = isLive() ? found : []
  for (const { id } of unchanged) asked.delete(id)
  const inspected = await inspectImages(docker, engine, [...asked])
  return { ...inspected, found: [...unchanged, ...inspected.found] }
}

export type SecondLook = {
  now: number
  needs: Needs
  containers: ReadonlyMap<string, Container>
  networks: ReadonlyMap<string, Network>
  images: ReadonlyMap<string, Image>
  volumes: ReadonlyMap<string, Volume>
  /** The last use of something since the listing, from the engine's events: `pulled`, `last used by a container`. */
  usedSince: (id: string) => string | undefined
  /** The engine has it but cannot inspect it. */
  isUnreadable: (id: string) => boolean
  /** The name of a new container that cannot be inspected: it may need anything. */
  stranger: string | undefined
}

export function findStranger(
  { containers: listed }: Inventory,
  containers: readonly Container[]
): string | undefined {
  const strangers = containers.filter(({ unreadable }) => unreadable)
  return strangers.find(({ id }) => !listed.some((one) => one.id === id))?.name
}
