import { setTimeout as sleep } from 'node:timers/promises'
import pLimit from 'p-limit'
import { countForOneCall, type Docker } from '../docker/cli.ts'
import { type DockerError, type Output, wordsOf } from '../docker/errors.ts'
import type { Inspectable } from '../docker/inspect.ts'
import { findBuilders } from '../model/builders.ts'
import {
  byKey,
  type CacheRecord,
  type EngineEvent,
  type Inventory
} from '../model/inventory.ts'
import type { Outcome, Removal, Result } from '../model/outcome.ts'
import { plannedItems, type Plan, type PlanItem } from '../model/plan.ts'
import { pruneBuildCache, type PruneOptions } from './buildCache.ts'
import { removeBuilder, timeWithoutClient } from './builders.ts'
import { commands, readWord, type RemovableKind } from './commands.ts'
import { createRecheck, isBeingRemoved, recheckBuilder } from './recheck.ts'
import {
  countForUntagging,
  meaningOf,
  readUntagging,
  referencesToUntag,
  untag
} from './references.ts'
import { asDockerError, kept, readChange, readRefusal } from './refusal.ts'
import { lookAgain, type SecondLook } from './secondLook.ts'
import type { Watch } from './watch.ts'
import { list } from '../words.ts'

export type RemovalOptions = {
  docker: Docker
  inventory: Inventory
  /** What happens on the engine since the listing. */
  watch: Watch
  /** What to do about the build cache. */
  cache: Omit<PruneOptions, 'docker'>
  /** Lists the build cache; undefined where it does not tell. */
  listCache: (docker: Docker) => Promise<CacheRecord[] | undefined>
  /** Batches at once. */
  concurrency: number
  /** Milliseconds, as Date.now() counts, when the listing was there: it is the first look for clients of builders. */
  listedAt: number
  /** Milliseconds, as Date.now() counts, after which no new work begins. */
  deadline: number
  signal: AbortSignal
  /** Is told of each item as soon as its fate is known. */
  onResult: (result: Result) => void
}

/**
 * Removes what the plan wants gone: containers, builders, networks, images, volumes, then the build cache, in small
 * batches, each checked again right before. Never forces. Never throws: what an error of the engine left undone is in
 * the results, one for each item.
 */
export async function removeAll(
  plan: Plan,
  options: RemovalOptions
): Promise<Removal> {
  const act = createAct(options)
  const planned = plannedItems(plan)
  for (const { kind, ids } of plan.removalOrder) {
    const step = new Set(ids)
    const items = planned.filter(
      (item) => item.kind === kind && step.has(item.id)
    )
    if (kind === 'builder') await act.removeBuilders(items)
    else if (kind !== 'build-cache') await act.removeInBatches(kind, items)
  }
  await act.lookAtCache()
  for (const item of planned.filter(({ kind }) => kind === 'build-cache'))
    await act.prune(item)
  return act.finish(planned)
}

/** Seconds in which a container may end by itself before the engine kills it. */
const stopTime = '10'

/** Milliseconds before the end of the time in which no stop begins any more: the grace is no longer than a stop. */
const stopMargin = 5_000

/**
 * Podman starts again what was told to stop in the moment between an end and the next start: of what does nothing but
 * fail, one of twenty such stops came in that moment.
 */
const mostStops = 5

const stopContainers = ['container', 'stop', '--time', stopTime]

/** Milliseconds: a batch lasts about this long. What changes within one is not seen. */
const batchTime = 1_000

const firstBatch = 8

const largestBatch = 100

function createAct(options: RemovalOptions) {
  const { inventory, concurrency, deadline, signal, onResult } = options
  const watch: Watch = {
    ...options.watch,
    events: () => options.watch.events().filter((event) => !isOwn(event))
  }
  // What has begun when the time is up comes to its end, and is looked at, in the time of grace.
  const docker: Docker = (args, more) =>
    options.docker(args, { grace: true, ...more })
  const recheck = createRecheck(inventory, {
    stops: (id) => toStop.has(id),
    isLeft: (id) => !isGone(id),
    takenOff: (id) => takenOff.get(id) ?? []
  })
  const builders = byKey(findBuilders(inventory), ({ id }) => id)
  const results = new Map<PlanItem, Result>()
  /** Containers that run and are to go, and those of them that were told to stop. */
  const toStop = new Set<string>()
  const stopping = new Set<string>()
  /** What became of containers and images, by ID. */
  const fates = new Map<string, Outcome['outcome']>()
  /** References that are off an image already, whatever becomes of it. */
  const takenOff = new Map<string, string[]>()
  /** All that the engine said of its removals: what it took along with something is not asked for again. */
  const everSaid = new Set<string>()
  let fatal: DockerError | undefined
  let cacheAfter: CacheRecord[] | undefined

  /** What the engine is told to remove: Podman refuses a network in use only where it is named. */
  const target = ({ kind, id, name }: PlanItem) =>
    kind === 'network' && inventory.engine.kind === 'podman' ? name : id

  const isGone = (id: string) =>
    ['removed', 'gone'].includes(fates.get(id) ?? '')

  /** Looks again; what the state of some `containers` is now matters as well. */
  const look = (
    kind: Inspectable,
    ids: readonly string[],
    containers: readonly string[] = []
  ) => {
    const asked = new Set([...ids, ...containers])
    const changing = (id: string) => kind === 'network' || asked.has(id)
    const others = { changing, gone: isGone }
    return lookAgain(docker, inventory, watch, kind, ids, others)
  }

  const stopped = () =>
    fatal !== undefined || signal.aborted || Date.now() >= deadline

  /** A stop that begins must have the time to end. */
  const late = (at = Date.now()) => at + stopMargin >= deadline

  /** A container that this run stops holds what it needs for as long as it is there, and was of no use before. */
  function isOwn({ id, container }: EngineEvent): boolean {
    return stopping.has(container || id)
  }

  function settle(item: PlanItem, fate: Outcome): void {
    if (results.has(item)) return
    const off = takenOff.get(item.id) ?? []
    const left = !['removed', 'gone'].includes(fate.outcome)
    const result = {
      item,
      ...fate,
      ...(left && off.length > 0 && { removedReferences: off }),
      ...(left &&
        stopping.has(item.id) && {
          detail: `it was told to stop; ${fate.detail ?? 'it is still there'}`
        }),
      ...(off.length > 0 &&
        ['kept', 'failed'].includes(fate.outcome) && {
          detail: `${fate.detail ?? 'it is still there'}; taken off: ${list(off)}`
        })
    }
    results.set(item, result)
    if (['container', 'image', 'builder'].includes(item.kind))
      fates.set(item.id, fate.outcome)
    onResult(result)
  }

  async function removeInBatches(
    kind: RemovableKind,
    items: readonly PlanItem[]
  ): Promise<void> {
    if (kind === 'container') await stopAll(items)
    const queue = items.filter(
      (item) =>
        !results.has(item) && (!toStop.has(item.id) || stopping.has(item.id))
    )
    let size = firstBatch
    async function lane(): Promise<void> {
      while (queue.length > 0 && !stopped()) {
        const next = queue.slice(0, size)
        const ids = next
          .slice(0, countForUntagging(next, firstBatch))
          .map(({ id }) => id)
        const batch = queue.splice(0, countForOneCall(ids, size))
        try {
          const pace = await removeBatch(kind, batch)
          // What had gone already says nothing about how long a removal takes.
          if (pace > 0)
            size = Math.min(
              Math.max(Math.round(pace * batchTime), 1),
              largestBatch
            )
        } catch (error) {
          fatal ??= asDockerError(error)
        }
      }
    }
    await Promise.all(Array.from({ length: concurrency }, lane))
  }

  /** Stops what runs and is to go; settles what cannot be stopped. */
  async function stopAll(items: readonly PlanItem[]): Promise<void> {
    const queue = items.filter(({ decision }) => 'stop' in decision)
    for (const { id } of queue) toStop.add(id)
    while (queue.length > 0 && !stopped() && !late()) {
      const ids = queue.slice(0, largestBatch).map(({ id }) => id)
      const batch = queue.splice(0, countForOneCall(ids, largestBatch))
      try {
        const going = await stillGoing('container', batch)
        const { running } = await stop(going)
        for (const item of running) await stopAlone(item)
      } catch (error) {
        fatal ??= asDockerError(error)
      }
    }
  }

  /** Tells one container to stop: what the engine says then is about this one. Settles it where it cannot be stopped. */
  async function stopAlone(item: PlanItem): Promise<void> {
    const { running, output } = await stop([item])
    const [left] = await stillGoing('container', running)
    if (left !== undefined)
      settle(left, {
        outcome: 'failed',
        detail: wordsOf(output, 'container stop')
      })
  }

  /** Stops containers with one call, which waits for all of them; returns those that it did not stop, and its words. */
  async function stop(
    items: readonly PlanItem[]
  ): Promise<{ running: PlanItem[]; output: Output }> {
    const ids = items.map(({ id }) => id)
    if (ids.length === 0)
      return { running: [], output: { exitCode: 0, stdout: '', stderr: '' } }
    for (const id of ids) stopping.add(id)
    const output = await docker([...stopContainers, '--', ...ids])
    const words = new Set(output.stdout.split('\n').map(readWord))
    // Those that were started with --rm the engine removes by itself then.
    for (const word of words) everSaid.add(word)
    return { running: items.filter(({ id }) => !words.has(id)), output }
  }

  /** Waits until the engine has removed what it removes by itself, as soon as it is stopped. */
  async function waitForEngine(items: readonly PlanItem[]): Promise<void> {
    const ids = items.map(({ id }) => id).filter((id) => stopping.has(id))
    for (let attempt = 0; ids.length > 0 && attempt < 20; attempt += 1) {
      const { containers } = await look('container', ids)
      const left = ids.flatMap((id) => containers.get(id) ?? [])
      if (!left.some(isBeingRemoved)) return
      await sleep(250)
    }
  }

  /** Returns its pace: how many a millisecond were removed, once it had been looked at them again; 0 for none. */
  async function removeBatch(
    kind: RemovableKind,
    batch: readonly PlanItem[]
  ): Promise<number> {
    const going = await stillGoing(kind, batch)
    const start = Date.now()
    const whole = kind === 'image' ? await untagFirst(going) : going
    const untagged = whole.some(({ id }) => takenOff.get(id)?.length)
    // That took its time, and the last tag of one may have been renewed meanwhile.
    const left = untagged ? await stillGoing(kind, whole) : whole
    if (left.length > 0 && !stopped()) await removeWhole(kind, left)
    return going.length / Math.max(Date.now() - start, 1)
  }

  async function removeWhole(
    kind: RemovableKind,
    whole: readonly PlanItem[]
  ): Promise<void> {
    const output = await remove(kind, whole)
    const unclear = whole.filter((item) => !results.has(item))
    await waitForEngine(unclear)
    for (const item of await attempt(unclear, () =>
      stillGoing(kind, unclear, noteLost)
    )) {
      if (stopped()) {
        // It was alone already.
        if (whole.length === 1) settle(item, readRefusal(output, `${kind} rm`))
        return
      }
      await removeAlone(kind, item)
    }
  }

  /** Once more, alone: what the engine says now is about this one. */
  async function removeAlone(
    kind: RemovableKind,
    item: PlanItem
  ): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      if (stopping.has(item.id) && !(await stopAgain(item))) return
      const output = await remove(kind, [item])
      const [left] = results.has(item)
        ? []
        : await attempt([item], () => stillGoing(kind, [item], noteLost))
      if (left === undefined) return
      const fate = readRefusal(output, `${kind} rm`)
      const again = fate.outcome === 'kept' && stopping.has(item.id)
      if (!again || tries === mostStops || stopped()) {
        settle(left, fate)
        return
      }
    }
  }

  /** Stops what may run again although it was stopped; tells whether it is still to go. */
  async function stopAgain(item: PlanItem): Promise<boolean> {
    const goesOn = async () =>
      !stopped() &&
      !results.has(item) &&
      (await stillGoing('container', [item])).length > 0
    if (late() || !(await goesOn())) return false
    await stopAlone(item)
    return goesOn()
  }

  /** Removes things with one call, and settles those that the engine says are gone by it. */
  async function remove(
    kind: RemovableKind,
    items: readonly PlanItem[]
  ): Promise<Output> {
    const { args, said } = commands[kind]
    const read = (stdout: string) => {
      const words = new Set(stdout.split('\n').map(readWord))
      for (const word of words) everSaid.add(word)
      for (const item of items)
        if (words.has(said(target(item)))) settle(item, { outcome: 'removed' })
    }
    const ids = items.map(target)
    const output = await attempt(
      items,
      // As long as the step has: large files take their time, and whoever is cut off does not know what became of it.
      () => docker([...args, '--', ...ids], { limit: Infinity }),
      read
    )
    read(output.stdout)
    return output
  }

  /** Takes off what has to be taken off by name; returns those that are then to go as a whole. */
  async function untagFirst(items: readonly PlanItem[]): Promise<PlanItem[]> {
    const whole: PlanItem[] = []
    for (const item of items) {
      const done: string[] = []
      takenOff.set(item.id, done)
      const references = referencesToUntag(item, item.references ?? [])
      const { failures, cameToAll } = await attempt([item], () =>
        untag(docker, inventory.engine, item, references, { done, stopped })
      )
      const failed = failures.find(({ outcome }) => outcome === 'failed')
      if (failed !== undefined) settle(item, failed)
      // What was not come to is left for the end.
      else if (!cameToAll) return []
      else if (item.decision.action === 'remove') whole.push(item)
      else settle(item, failures[0] ?? readUntagging(done))
    }
    return whole
  }

  /** Runs a call that may change the items; if it breaks off, nobody knows what became of the others. */
  async function attempt<T>(
    items: readonly PlanItem[],
    change: () => Promise<T>,
    read: (stdout: string) => void = () => undefined
  ): Promise<T> {
    try {
      return await change()
    } catch (error) {
      const { message, stdout } = asDockerError(error)
      read(stdout)
      const detail = `its removal broke off, it may be gone: ${message}`
      for (const item of items) settle(item, { outcome: 'failed', detail })
      throw error
    }
  }

  /** Looks again at the items and what could need them; settles those that are gone or have changed. */
  async function stillGoing(
    kind: RemovableKind,
    items: readonly PlanItem[],
    note?: (items: readonly PlanItem[], look: SecondLook) => Promise<void>
  ): Promise<PlanItem[]> {
    if (items.length === 0) return []
    const ids = items.map(({ id }) => id)
    const seen = await look(kind, ids)
    await note?.(items, seen)
    return items.filter((item) => {
      const { id } = item
      const change = recheck[kind](id, seen)
      if (change === 'gone')
        settle(item, {
          outcome: everSaid.has(commands[kind].said(target(item)))
            ? 'removed'
            : 'gone'
        })
      else if (change !== undefined) settle(item, kept(change.changed))
      return change === undefined
    })
  }

  /** Removes builders, those that run last: they must have been without a client for a while. */
  async function removeBuilders(items: readonly PlanItem[]): Promise<void> {
    const runs = ({ decision }: PlanItem) => 'stop' in decision
    const limit = pLimit(concurrency)
    await limit.map(
      items.filter((item) => !runs(item)),
      endBuilder
    )
    const running = items.filter(runs)
    const end = options.listedAt + timeWithoutClient
    if (running.length === 0 || stopped() || late(end)) return
    // A cancel ends the wait.
    await sleep(end - Date.now(), undefined, { signal }).catch(() => undefined)
    await limit.map(running, async (item) => {
      if (!late()) await endBuilder(item)
    })
  }

  async function endBuilder(item: PlanItem): Promise<void> {
    const builder = builders.get(item.id)
    if (builder === undefined) throw new Error(`${item.id} is no builder`)
    if (stopped()) return
    const states = builder.volume ? [builder.volume.name] : []
    const { id } = builder.container ?? {}
    const lookAtIt = () => look('volume', states, id ? [id] : [])
    const tools = {
      docker,
      look: lookAtIt,
      stop: async () => (await stop([item])).output
    }
    try {
      const change = recheckBuilder(builder, await lookAtIt())
      const fate = change
        ? readChange(change)
        : await attempt([item], () => removeBuilder(builder, tools))
      settle(item, fate)
    } catch (error) {
      fatal ??= asDockerError(error)
    }
  }

  /** Sees what the cache keeps of the images that went: only then it can be told what they freed. */
  async function lookAtCache(): Promise<void> {
    const shares = inventory.buildCache.records?.some(({ shared }) => shared)
    const freed = [...results.values()].some(
      ({ item, outcome }) => item.kind === 'image' && outcome === 'removed'
    )
    if (!shares || !freed || stopped()) return
    try {
      cacheAfter = await options.listCache(docker)
    } catch {
      // The figure is what is certain then; a cancel the signal tells.
    }
  }

  /**
   * Takes the references that an image has lost for those that its failed removal took off: the engine does so before
   * it deletes, and they stay off where it then has no room to write that down. One that means another image now, or
   * that of an image in use, somebody else took.
   */
  async function noteLost(
    items: readonly PlanItem[],
    { images, needs }: SecondLook
  ): Promise<void> {
    for (const { id, references = [] } of items) {
      const left = images.get(id)?.references ?? references
      const lost = references.filter((one) => !left.includes(one))
      if (lost.length === 0 || needs.images.has(id)) continue
      const off = new Set(takenOff.get(id))
      // One at a time: of several references nobody could tell which one an answer is for.
      for (const one of lost) {
        const meant = await meaningOf(docker, inventory.engine, one)
        if (meant.id === undefined && !meant.unreadable) off.add(one)
      }
      takenOff.set(id, [...off])
    }
  }

  async function prune(item: PlanItem): Promise<void> {
    if (stopped()) return
    try {
      settle(item, await pruneBuildCache({ docker, ...options.cache }))
    } catch (error) {
      const broken = asDockerError(error)
      const late = broken.kind === 'no-answer' && Date.now() >= deadline
      if (!late) fatal ??= broken
      const detail = late
        ? 'the engine was still removing records when the time was up'
        : broken.message
      settle(
        item,
        late
          ? { outcome: 'kept', reason: 'budget', detail, heldBy: 'timeout' }
          : { outcome: 'failed', detail }
      )
    }
  }

  /** Settles what was not come to. */
  function finish(items: readonly PlanItem[]): Removal {
    // Nor is it the engine's fault that a call was ended with the time of the step.
    const late = fatal?.kind === 'no-answer' && Date.now() >= deadline
    const failed = fatal !== undefined && !late
    const why = signal.aborted
      ? 'the run was cancelled'
      : failed
        ? 'the engine failed'
        : 'the time was up'
    for (const item of items)
      settle(item, {
        outcome: 'kept',
        reason: 'budget',
        detail: `not done: ${why}`,
        ...(!signal.aborted && !failed && { heldBy: 'timeout' })
      })
    return { results: [...results.values()], fatal, cacheAfter }
  }

  return { removeInBatches, removeBuilders, lookAtCache, prune, finish }
}
