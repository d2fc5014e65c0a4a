import type { Docker } from '../docker/cli.ts'
import type { CacheRecord } from '../model/inventory.ts'
import type { Outcome } from '../model/outcome.ts'
import {
  isStoppedByRule,
  type PlanItem,
  type RemovalStep
} from '../model/plan.ts'
import { sum } from '../units.ts'
import { count } from '../words.ts'
import { removeBatch } from './batches.ts'
import {
  attemptPrune,
  pruneBuildCache,
  type PruneOptions
} from './buildCache.ts'
import { removeBuilders } from './builders.ts'
import { stopContainers } from './containers.ts'
import {
  createEnough,
  type Enough,
  measure,
  missingFor,
  type Target,
  waitForFreed
} from './enough.ts'
import {
  fail,
  record,
  recordedResults,
  type Session,
  whyOver
} from './session.ts'

type CacheOptions = {
  prune: Omit<PruneOptions, 'docker'>
  list: (docker: Docker) => Promise<CacheRecord[] | undefined>
}

type Removal = {
  session: Session
  enough: Enough
  listedAt: number
  /** Bytes that the build cache keeps of the planned images at most; it is not known of which. */
  shared: number
  /** The build cache, if it is planned, with what became of it so far. */
  cache: (CacheOptions & { item: PlanItem; outcomes: Outcome[] }) | undefined
}

/**
 * Removes items in the order of the plan until enough is free: in small batches one after the other, with a look at the
 * disks before each. What is not needed stays.
 */
export async function removeUntilEnough(
  session: Session,
  steps: readonly (RemovalStep & { items: readonly PlanItem[] })[],
  {
    target,
    listedAt,
    cache
  }: { target: Target; listedAt: number; cache: CacheOptions }
): Promise<void> {
  const enough = createEnough(target)
  const planned = steps.flatMap((one) => one.items)
  const item = planned.find(isCache)
  const images = planned.filter(({ kind }) => kind === 'image')
  const shared = sum(images.map((one) => mostOf(one) - (one.bytes ?? 0)))
  const removal: Removal = {
    ...{ session, enough, listedAt, shared },
    cache: item && { ...cache, item, outcomes: [] }
  }
  try {
    for (const { items } of steps) await removeStep(removal, items)
  } catch (error) {
    fail(session, error)
  }
  recordCache(removal)
}

function mostOf({ bytes = 0, bytesAtMost = bytes }: PlanItem): number {
  return bytesAtMost
}

function isCache({ kind }: PlanItem): boolean {
  return kind === 'build-cache'
}

async function removeStep(
  removal: Removal,
  items: readonly PlanItem[]
): Promise<void> {
  const { session, enough } = removal
  const queue = [...items]
  for (let [first] = queue; first && !whyOver(session); [first] = queue) {
    await measure(enough)
    const missing = missingFor(enough, first)
    if (missing === undefined) {
      for (const item of queue.filter((one) => !isStoppedByRule(one)))
        leave(removal, item)
      // They go together: a project must not lose a part of what runs.
      await removeSome(removal, queue.filter(isStoppedByRule), 0)
      return
    }
    const batch = queue.splice(0, countForBatch(queue, missing.bytes))
    await removeSome(removal, batch, missing.bytes)
  }
}

function leave({ session, cache }: Removal, item: PlanItem): void {
  const outcome: Outcome = {
    ...{ outcome: 'kept', reason: 'target-reached' },
    detail: `enough space is free; ${item.decision.detail}`,
    heldBy: 'until-free-above'
  }
  // Images that go later may still need a prune.
  if (item === cache?.item) cache.outcomes.push(outcome)
  else record(session, item, outcome)
}

async function removeSome(
  removal: Removal,
  batch: readonly PlanItem[],
  missing: number
): Promise<void> {
  const { session, enough, listedAt, shared } = removal
  const [{ kind } = { kind: undefined }] = batch
  if (kind === undefined) return
  if (kind === 'build-cache') await pruneMissing(removal, missing)
  else if (kind === 'builder') await removeBuilders(session, batch, listedAt)
  else if (kind === 'container') {
    const ready = await stopContainers(session, batch)
    await removeBatch(session, kind, ready)
  } else await removeBatch(session, kind, batch)
  const gone = recordedResults(session)
    .filter(
      ({ item, outcome }) => batch.includes(item) && outcome === 'removed'
    )
    .map(({ item }) => item)
  const isOver = () => whyOver(session) !== undefined
  if (kind !== 'image' || shared === 0) {
    await waitForFreed(enough, gone, isOver)
    return
  }
  await waitForFreed(enough, withoutShared(gone, shared), isOver)
  // Only the prune of the build cache frees what it shares with images.
  const left = missingFor(enough, { kind: 'build-cache' })
  if (gone.length > 0 && left) await pruneMissing(removal, left.bytes)
}

/** Some of the images, as one with the bytes that they free even if the build cache shares only theirs. */
function withoutShared(
  images: readonly PlanItem[],
  shared: number
): PlanItem[] {
  const [first] = images
  const exact = images.filter(({ estimated }) => !estimated)
  const bytes = Math.max(sum(exact.map(mostOf)) - shared, 0)
  return first ? [{ ...first, bytes, estimated: false }] : []
}

/** Small enough to end near the target: the disk decides, and the plan's figures only say how far to go at once. */
const largestBatch = 50

/** Where inodes are missing, or the bytes are not known. */
const smallBatch = 4

/** How many of the first items free no more than half of what is missing; at least one. */
function countForBatch(items: readonly PlanItem[], missing: number): number {
  if (missing === 0) return smallBatch
  let freed = 0
  for (const [index, item] of items.slice(0, largestBatch).entries()) {
    freed += item.bytesAtMost ?? item.bytes ?? missing
    if (freed > missing / 2) return Math.max(index, 1)
  }
  return largestBatch
}

/** Prunes as much of the build cache as is missing: a prune cannot be stopped half-way, so it gets a floor. */
async function pruneMissing(
  { session, enough, cache }: Removal,
  missing: number
): Promise<void> {
  if (cache === undefined || whyOver(session)) return
  const { docker } = session
  const outcome = await attemptPrune(session, async () => {
    const records = await cache.list(docker)
    const own = (records ?? []).filter(({ shared }) => !shared)
    const size = sum(own.map(({ bytes }) => bytes))
    const floor = missing > 0 ? Math.max(size - missing, 0) : 0
    const keep = Math.max(cache.prune.keep, floor)
    return pruneBuildCache({ docker, ...cache.prune, keep })
  })
  cache.outcomes.push(outcome)
  const { freed: bytes = 0 } = outcome
  await waitForFreed(
    enough,
    [{ ...cache.item, bytes, estimated: false }],
    () => whyOver(session) !== undefined
  )
}

/** Records all prunes as one outcome. */
function recordCache({ session, cache }: Removal): void {
  if (cache === undefined) return
  const { item, outcomes } = cache
  const removed = outcomes.filter(({ outcome }) => outcome === 'removed')
  const removedRecords = removed.flatMap((one) => one.removedRecords ?? [])
  if (removed.length > 0) {
    const { length } = removedRecords
    const all: Outcome = {
      outcome: 'removed',
      freed: sum(removed.map(({ freed = 0 }) => freed)),
      ...(length > 0 && { detail: count(length, 'record') })
    }
    const unknown = removed.find(({ freed }) => freed === undefined)
    record(session, item, { ...(unknown ?? all), removedRecords })
    return
  }
  const last =
    outcomes.findLast(({ outcome }) => outcome !== 'gone') ?? outcomes[0]
  if (last && whyOver(session) !== 'cancelled') record(session, item, last)
}
