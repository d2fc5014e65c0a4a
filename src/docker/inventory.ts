import { listBuildCache } from './buildCache.ts'
import type { Docker } from './cli.ts'
import { listContainers } from './containers.ts'
import { readEventLog } from './events.ts'
import { listImages } from './images.ts'
import { listNetworks } from './networks.ts'
import { listServices } from './services.ts'
import { traitsOf } from './traits.ts'
import { listVolumes } from './volumes.ts'
import type { Engine, ImageFacts, Inventory } from '../model/inventory.ts'

/**
 * Lists all that the engine holds; the listings run side by side. The build cache is that of the engine's own `builder`
 * (see `findContext`); it can be costly, so it has a time limit, after which it is left out. So have the volumes, in
 * milliseconds, where nobody needs them.
 */
export async function readInventory(
  docker: Docker,
  engine: Engine,
  builder: string,
  facts: ReadonlyMap<string, ImageFacts> = new Map(),
  limitOfVolumes?: number
): Promise<Inventory> {
  // What may take long begins first.
  const [images, records, containers, services, networks, volumes, events] =
    await Promise.all([
      listImages(docker, engine, facts),
      // Podman has none but the untagged parents of images.
      traitsOf(engine).buildCache
        ? listBuildCache(docker, engine, builder)
        : [],
      listContainers(docker, engine),
      listServices(docker, engine),
      listNetworks(docker, engine),
      listVolumes(docker, limitOfVolumes),
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
    remembers: false,
    unreadable: [
      ...images.unreadable,
      ...networks.unreadable.map((id) => ({ kind: 'network' as const, id })),
      ...(volumes?.unreadable ?? []).map((id) => ({
        kind: 'volume' as const,
        id
      }))
    ]
  }
}
