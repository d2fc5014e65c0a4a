import { imagesToSplit } from '../accounting/cache.ts'
import { imagesToMeasure } from '../accounting/layers.ts'
import type { Docker } from '../docker/cli.ts'
import { optional } from '../docker/errors.ts'
import {
  measureContainers,
  measureLayers,
  measureVolumes
} from '../docker/sizes.ts'
import { measureLogs } from '../host/logs.ts'
import { findBuilders, sizesOfBuilders } from '../model/builders.ts'
import type { EngineContext, Inventory, Written } from '../model/inventory.ts'
import type { Kind } from '../model/kinds.ts'
import {
  type LayerSizes,
  type LogSizes,
  type Plan,
  plannedItems,
  type Sizes
} from '../model/plan.ts'
import type { Looked } from './world.ts'

/** Measures what the planned removals may free, with extra calls side by side; leaves out what fails. */
export async function measure(
  docker: Docker,
  inventory: Inventory,
  plan: Plan,
  { facts, endpoint }: Pick<Looked, 'facts'> & Pick<EngineContext, 'endpoint'>
): Promise<{ sizes: Sizes; packed: ReadonlyMap<string, number> }> {
  const going = (kind: Kind) =>
    plannedItems(plan)
      .filter((item) => item.kind === kind && item.decision.action === 'remove')
      .map(({ id }) => id)
  const builders = findBuilders(inventory)
  const withBuilders = going('builder').length > 0
  const ofBuilders = builders.flatMap(({ container = [] }) => container)
  const containers = [
    ...going('container'),
    // Also the builders that stay: a summary of builders needs their size.
    ...(withBuilders ? ofBuilders.map(({ id }) => id) : [])
  ]
  const known = knownLayers(inventory, facts)
  const images = imagesInDoubt(inventory, going('image'), known)
  const [ofContainers, ofVolumes, ofImages] = await Promise.all([
    optional(measureContainers(docker, containers)),
    withBuilders || going('volume').length > 0
      ? measureVolumes(docker)
      : undefined,
    optional(measureLayers(docker, inventory.engine, images))
  ])
  const written = ofContainers ?? new Map<string, Written>()
  const logs = await measureLogs(inventory.engine, endpoint, written)
  const figures = {
    containers: addLogs(written, logs),
    logs,
    volumes: ofVolumes ?? new Map<string, number>(),
    layers: new Map([...known, ...(ofImages?.layers ?? [])])
  }
  return {
    sizes: { ...figures, builders: sizesOfBuilders(builders, figures) },
    packed: ofImages?.packed ?? new Map<string, number>()
  }
}

function knownLayers(
  { images }: Inventory,
  facts: Looked['facts']
): LayerSizes {
  return new Map(
    images.flatMap(({ id }) => {
      const sizes = facts.get(id)?.layerSizes
      return sizes ? [[id, sizes] as const] : []
    })
  )
}

/** The images whose history is needed to tell what the removal of some frees. */
function imagesInDoubt(
  { images, buildCache }: Inventory,
  removed: readonly string[],
  known: LayerSizes
) {
  const ids = new Set([
    ...imagesToMeasure(images, removed, known),
    ...imagesToSplit(images, removed, buildCache.records)
  ])
  return images.filter(({ id }) => ids.has(id))
}

function addLogs(
  written: ReadonlyMap<string, Written>,
  logs: LogSizes
): Map<string, number> {
  return new Map(
    [...written].map(([id, { bytes }]) => [
      id,
      bytes + (logs.bytes.get(id) ?? 0)
    ])
  )
}
