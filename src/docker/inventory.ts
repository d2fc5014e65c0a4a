import type {
  Engine,
  ImageFacts,
  Inventory,
  Unreadable
} from '../model/inventory.ts'
import { listBuildCache } from './buildCache.ts'
import type { Docker } from './cli.ts'
import { listContainers } from './containers.ts'
import { readEventLog } from './events.ts'
import { listImages } from './images.ts'
import { listNetworks } from './networks.ts'
import { listServices } from './services.ts'
import { traitsOf } from './traits.ts'
import { listVolumes } from './volumes.ts'

/** Lists everything on the engine; without the volumes if that takes longer than `volumesLimit` milliseconds. */
export async function readInventory(
  docker: Docker,
  engine: Engine,
  builder: string,
  facts: ReadonlyMap<string, ImageFacts> = new Map(),
  volumesLimit?: number
): Promise<Inventory> {
  // The slowest listings come first.
  const [images, records, containers, services, networks, volumes, events] =
    await Promise.all([
      listImages(docker, engine, facts),
      traitsOf(engine).buildCache
        ? listBuildCache(docker, engine, builder)
        : [],
      listContainers(docker, engine),
      listServices(docker, engine),
      listNetworks(docker, engine),
      listVolumes(docker, volumesLimit),
      readEventLog(docker, engine)
    ])
  return {
    engine,
    containers,
    services,
    images: images.found,
    networks: networks.found,
    volumes: volumes?.found ?? [],
    ...(volumes === undefined && { withoutVolumes: true }),
    buildCache: { records },
    events,
    ledger: undefined,
    oldestJob: undefined,
    self: undefined,
    remembers: false,
    unreadable: [
      ...images.unreadable,
      ...networks.unreadable.map(unreadable('network')),
      ...(volumes?.unreadable ?? []).map(unreadable('volume'))
    ]
  }
}

function unreadable(kind: Unreadable['kind']): (id: string) => Unreadable {
  return (id) => ({ kind, id })
}
