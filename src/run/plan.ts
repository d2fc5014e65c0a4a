import { imagesToSplit, withPacked } from '../accounting/cache.ts'
import { imagesToMeasure } from '../accounting/layers.ts'
import type { Docker } from '../docker/cli.ts'
import { optional } from '../docker/errors.ts'
import { inspectAgain } from '../docker/images.ts'
import {
  measureContainers,
  measureLayers,
  measureVolumes
} from '../docker/sizes.ts'
import { logsNote, measureLogs } from '../host/logs.ts'
import { findBuilders, sizesOfBuilders } from '../model/builders.ts'
import type { EngineContext, Inventory, Written } from '../model/inventory.ts'
import type { Kind } from '../model/kinds.ts'
import {
  type LogSizes,
  type Plan,
  plannedItems,
  type Sizes
} from '../model/plan.ts'
import type { Policy } from '../model/policy.ts'
import { limitsOf } from '../policy/limits.ts'
import { measurePlan } from '../policy/measure.ts'
import { makePlan } from '../policy/plan.ts'
import { planLines } from '../report/log.ts'
import type { Looked, Step } from './world.ts'

export async function planAndMeasure(
  { docker, world }: Step,
  policy: Policy,
  { inventory: listed, facts, context }: Looked
): Promise<{ plan: Plan; sizes: Sizes; inventory: Inventory }> {
  const { plan: unmeasured, inventory: certain } = await planOnFreshFacts(
    docker,
    listed,
    policy
  )
  const { sizes, packed } = await measure(docker, certain, unmeasured, {
    facts,
    endpoint: context.endpoint
  })
  const images = withPacked(certain.images, packed)
  const inventory = { ...certain, images }
  const plan = measurePlan(unmeasured, inventory, sizes)
  for (const line of planLines(plan)) world.log.info(line)
  if (sizes.logs.unread) world.log.info(logsNote)
  return { plan, sizes, inventory }
}

/**
 * Plans, and asks for the images that would go by what an earlier run was told: they may have been tagged since, and be
 * younger than it seems. What stays by that is younger, too, at the most.
 */
async function planOnFreshFacts(
  docker: Docker,
  listed: Inventory,
  policy: Policy
): Promise<{ plan: Plan; inventory: Inventory }> {
  let inventory = listed
  for (;;) {
    const plan = makePlan(inventory, policy)
    const going = new Set(plannedItems(plan).map(({ id }) => id))
    const { engine, images } = inventory
    const unsure = images.filter(
      ({ id, remembered }) => remembered && going.has(id)
    )
    if (unsure.length === 0 || limitsOf(policy, engine.now).until === 0)
      return { plan, inventory }
    inventory = await inspectAgain(docker, inventory, unsure)
  }
}

/** Asks for the figures that cost an extra call, side by side; one that cannot be had is left out. */
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
    // Those that stay as well: what they hold is worth knowing.
    ...(withBuilders ? ofBuilders.map(({ id }) => id) : [])
  ]
  const known = new Map(
    inventory.images.flatMap(({ id }) => {
      const sizes = facts.get(id)?.layerSizes
      return sizes ? [[id, sizes] as const] : []
    })
  )
  const removed = going('image')
  const { records } = inventory.buildCache
  const asked = new Set([
    ...imagesToMeasure(inventory.images, removed, known),
    ...imagesToSplit(inventory.images, removed, records)
  ])
  const images = inventory.images.filter(({ id }) => asked.has(id))
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
    containers: withLogs(written, logs),
    logs,
    volumes: ofVolumes ?? new Map<string, number>(),
    layers: new Map([...known, ...(ofImages?.layers ?? [])])
  }
  return {
    sizes: { ...figures, builders: sizesOfBuilders(builders, figures) },
    packed: ofImages?.packed ?? new Map<string, number>()
  }
}

function withLogs(
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
