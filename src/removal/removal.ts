import type { Docker } from '../docker/cli.ts'
import { byKey, type CacheRecord } from '../model/inventory.ts'
import type { Removal } from '../model/outcome.ts'
import {
  isStopped,
  itemsToStop,
  type Plan,
  plannedItems
} from '../model/plan.ts'
import { removeInBatches } from './batches.ts'
import {
  listCacheAfterImages,
  type PruneOptions,
  removeBuildCache
} from './buildCache.ts'
import { removeBuilders } from './builders.ts'
import { stopContainers, stopOnly } from './containers.ts'
import { removeUntilEnough } from './pressure.ts'
import type { Target } from './enough.ts'
import { createSession, finish, type SessionOptions } from './session.ts'

export type RemovalOptions = SessionOptions & {
  /** The removal ends once that much is free. */
  target: Target | undefined
  cache: Omit<PruneOptions, 'docker'>
  /** Lists the build cache; undefined where the builder does not. */
  listCache: (docker: Docker) => Promise<CacheRecord[] | undefined>
  /** When the listing was complete, as Date.now() counts: the first look for clients of builders. */
  listedAt: number
}

/**
 * Removes what the plan wants gone, in the plan's order and in small batches, each checked again right before. Never
 * forces and never throws: every planned item has a result, also after an error of the engine.
 */
export async function removeAll(
  plan: Plan,
  options: RemovalOptions
): Promise<Removal> {
  const planned = plannedItems(plan)
  const toStop = itemsToStop(plan)
  const byStep = byKey(planned, ({ kind, id }) => `${kind} ${id}`)
  const stops = [...toStop, ...planned].filter(isStopped)
  const session = createSession(options, new Set(stops.map(({ id }) => id)))
  await stopOnly(session, toStop)
  const steps = plan.removalOrder.map((step) => ({
    ...step,
    items: step.ids.flatMap((id) => byStep.get(`${step.kind} ${id}`) ?? [])
  }))
  const { target, listedAt } = options
  if (target !== undefined) {
    const cache = { prune: options.cache, list: options.listCache }
    await removeUntilEnough(session, steps, { target, listedAt, cache })
    return {
      ...finish(session, [...toStop, ...planned]),
      cacheAfter: undefined
    }
  }
  for (const { kind, items } of steps)
    if (kind === 'builder') await removeBuilders(session, items, listedAt)
    else if (kind === 'container')
      await removeInBatches(session, kind, await stopContainers(session, items))
    else if (kind !== 'build-cache') await removeInBatches(session, kind, items)
  const cacheAfter = await listCacheAfterImages(session, options.listCache)
  for (const item of planned.filter(({ kind }) => kind === 'build-cache'))
    await removeBuildCache(session, item, options.cache)
  return { ...finish(session, [...toStop, ...planned]), cacheAfter }
}
