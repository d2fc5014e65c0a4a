import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { listBuildCache } from '../docker/buildCache.ts'
import { readSpace } from '../host/disk.ts'
import type { Removal, Result } from '../model/outcome.ts'
import { itemsToStop, type Plan, plannedItems } from '../model/plan.ts'
import type { Policy } from '../model/policy.ts'
import { limitsOf } from '../policy/limits.ts'
import { removeAll } from '../removal/removal.ts'
import { progressLine, resultLine } from '../report/log.ts'
import { withSignsOfLife } from './progress.ts'
import type { Looked, Step } from './world.ts'

export async function removePlanned(
  { docker, options, deadline, world }: Step,
  policy: Policy,
  plan: Plan,
  { engine, inventory, context, disks, lookedAt, listedAt, stream }: Looked
): Promise<Removal> {
  const items = [...itemsToStop(plan), ...plannedItems(plan)]
  const results: Result[] = []
  return withSignsOfLife(
    removeAll(plan, {
      docker,
      inventory,
      stream,
      target: policy.untilFreeAbove && {
        disks,
        wanted: policy.untilFreeAbove,
        ...{ readSpace, sleep }
      },
      cache: {
        builder: context.name,
        lookedAt,
        until: limitsOf(policy, engine.now).until,
        keep: policy.buildCacheKeep,
        configFolder: world.env['DOCKER_CONFIG'] ?? join(homedir(), '.docker')
      },
      listCache: (docker) => listBuildCache(docker, engine, context.name),
      concurrency: options.concurrency,
      listedAt,
      deadline,
      signal: world.signal,
      onFallback: (why) => {
        world.log.info(
          `Lost the engine's event stream (${why}): from now on, the engine is listed again before each batch.`
        )
      },
      onResult: (result) => {
        results.push(result)
        if (result.reason !== 'target-reached')
          world.log.info(resultLine(result))
      }
    }),
    (elapsed) => {
      world.log.info(progressLine(results, items.length, elapsed))
    }
  )
}
