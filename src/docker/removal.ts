import type {
  Container,
  Image,
  Inventory,
  Network,
  Volume
} from '../policy/inventory.ts'
import { parseReference } from '../policy/match.ts'
import type { Kind, PlanItem } from '../policy/plan.ts'
import {
  recheckContainer,
  recheckImage,
  recheckNetwork,
  recheckVolume,
  type Change,
  type SecondLook
} from '../policy/recheck.ts'
import { DockerError, type Docker, type Output } from './cli.ts'
import {
  existingNetworks,
  inspectImages,
  inspectVolumes,
  listContainers
} from './inventory.ts'
import { pruneBuildCache } from './prune.ts'

/** What became of one planned item. */
export type Result = {
  item: PlanItem
  outcome: 'kept' | 'removed' | 'untagged' | 'gone' | 'failed'
  /** Why the run did not do what the plan wanted. */
  reason?: 'changed' | 'budget'
  detail?: string
  /** References that were taken off an image that is still there. */
  removedReferences?: string[]
  /** Bytes that the engine said it freed. */
  freed?: number
}

export type RemovalOptions = {
  docker: Docker
  inventory: Inventory
  /** Milliseconds, as Date.now() counts, when the listing began. */
  lookedAt: number
  /** How long a record of the build cache must have been idle when the listing began, in milliseconds. */
  until: number
  buildCacheKeep: number | undefined
  concurrency: number
  /** Milliseconds, as Date.now() counts, after which no new work begins. */
  deadline: number
  signal: AbortSignal
  /** Is told of each item as soon as its fate is known. */
  onResult: (result: Result) => void
}

/** Everything that the act did, in order; and the error that ended it early, if one did. */
export type Removal = { results: Result[]; fatal: DockerError | undefined }

/**
 * Removes what the plan wants gone: containers, networks, images, volumes, then the build cache, in small batches,
 * each checked again right before. Never forces. Never throws: what an error of the engine left undone is in the
 * results, one for each item.
 */
export async function removeAll(
  items: readonly PlanItem[],
  options: RemovalOptions
): Promise<Removal> {
  const act = createAct(options)
  for (const kind of ['container', 'network', 'image', 'volume'] as const) {
    const ofKind = items.filter((item) => item.kind === kind)
    for (const level of inLevels(ofKind, options.inventory))
      await act.removeInBatches(kind, level)
  }
  for (const item of items.filter(({ kind }) => kind === 'build-cache'))
    await act.prune(item)
  return act.finish(items)
}

type RemovableKind = Exclude<Kind, 'build-cache'>

/** How each kind is removed, and how its success reads on standard output. */
const commands = {
  container: { args: ['container', 'rm'], said: (id: string) => id },
  network: { args: ['network', 'rm'], said: (id: string) => id },
  // Without --no-prune the engine takes untagged parents along, protected ones too.
  image: {
    args: ['image', 'rm', '--no-prune'],
    said: (id: string) => `Deleted: ${id}`
  },
  volume: { args: ['volume', 'rm'], said: (name: string) => name }
} satisfies Record<
  RemovableKind,
  { args: string[]; said: (id: string) => string }
>

/**
 * Puts what needs something before what it needs: containers before those that they join, images before their
 * parents. Each level can go at once.
 */
export function inLevels(
  items: readonly PlanItem[],
  { containers, images }: Inventory
): PlanItem[][] {
  const names = new Map(containers.map(({ id, name }) => [name, id]))
  const needs = new Map<string, string[]>([
    ...containers.map(
      ({ id, joins }) =>
        [id, joins.map((join) => names.get(join) ?? join)] as const
    ),
    ...images.map(({ id, parent }) => [id, parent ? [parent] : []] as const)
  ])
  const levels: PlanItem[][] = []
  for (let left = [...items]; left.length > 0;) {
    const needed = new Set(left.flatMap(({ id }) => needs.get(id) ?? []))
    const free = left.filter(({ id }) => !needed.has(id))
    // A circle cannot be; if there is one, the engine decides.
    const level = free.length > 0 ? free : left
    levels.push(level)
    left = left.filter((item) => !level.includes(item))
  }
  return levels
}

/** A batch lasts about this long: what changes within one is not seen. */
const batchTime = 1_000
const firstBatch = 8
const largestBatch = 100
/** Characters; Windows takes 32,767 in a command line. */
const longestCommand = 16_000

function createAct(options: RemovalOptions) {
  const { inventory, concurrency, deadline, signal, onResult } = options
  // What has begun when the time is up comes to its end, and is looked at, in the time of grace.
  const docker: Docker = (args, more) =>
    options.docker(args, { grace: true, ...more })
  const { engine } = inventory
  const results = new Map<PlanItem, Result>()
  /** References that are off an image already, whatever becomes of it. */
  const takenOff = new Map<PlanItem, string[]>()
  let fatal: DockerError | undefined

  const stopped = () =>
    fatal !== undefined || signal.aborted || Date.now() >= deadline

  function settle(item: PlanItem, result: Omit<Result, 'item'>): void {
    if (results.has(item)) return
    const references = result.outcome === 'removed' ? [] : takenOff.get(item)
    const settled: Result = {
      item,
      ...result,
      ...(references?.length && { removedReferences: references })
    }
    results.set(item, settled)
    onResult(settled)
  }

  async function removeInBatches(
    kind: RemovableKind,
    items: readonly PlanItem[]
  ): Promise<void> {
    const queue = [...items]
    let size = firstBatch
    async function lane(): Promise<void> {
      while (queue.length > 0 && !stopped()) {
        const batch = takeBatch(queue, size)
        const start = Date.now()
        try {
          await removeBatch(kind, batch)
        } catch (error) {
          fatal ??= asDockerError(error)
        }
        const pace = batch.length / Math.max(Date.now() - start, 1)
        size = Math.min(Math.max(Math.round(pace * batchTime), 1), largestBatch)
      }
    }
    await Promise.all(Array.from({ length: concurrency }, lane))
  }

  async function removeBatch(
    kind: RemovableKind,
    batch: readonly PlanItem[]
  ): Promise<void> {
    const going = await stillGoing(kind, batch)
    const whole: PlanItem[] = []
    for (const item of going) {
      const references = referencesToUntag(item, imageOf(item))
      const words = await attempt([item], () => untag(item, references))
      if (item.decision.action === 'remove') whole.push(item)
      else settleUntagged(item, words)
    }
    if (whole.length === 0) return
    const { args, said } = commands[kind]
    const output = await attempt(whole, () =>
      docker([...args, '--', ...whole.map(({ id }) => id)], { grace: true })
    )
    const words = new Set(output.stdout.split('\n').map((line) => line.trim()))
    const unclear = whole.filter(({ id }) => !words.has(said(id)))
    for (const item of whole)
      if (!unclear.includes(item)) settle(item, { outcome: 'removed' })
    const left = await attempt(unclear, () => stillGoing(kind, unclear))
    for (const item of left) {
      // Once more, alone: what the engine says now is about this one.
      const again = await attempt([item], () =>
        docker([...args, '--', item.id])
      )
      settle(item, readRefusal(again, again.stdout.includes(said(item.id))))
    }
  }

  /** Runs a call that may change the items; if it breaks off, nobody knows what became of them. */
  async function attempt<T>(
    items: readonly PlanItem[],
    change: () => Promise<T>
  ): Promise<T> {
    try {
      return await change()
    } catch (error) {
      const { message } = asDockerError(error)
      const detail = `its removal broke off, it may be gone: ${message}`
      for (const item of items) settle(item, { outcome: 'failed', detail })
      throw error
    }
  }

  /** Looks again at the items and what could need them; settles those that are gone or have changed. */
  async function stillGoing(
    kind: RemovableKind,
    items: readonly PlanItem[]
  ): Promise<PlanItem[]> {
    if (items.length === 0) return []
    const ids = items.map(({ id }) => id)
    const [containers, images, volumes, networks] = await Promise.all([
      listContainers(docker),
      kind === 'image' ? inspectImages(docker, engine, ids) : [],
      kind === 'volume' ? inspectVolumes(docker, ids) : [],
      kind === 'network' ? existingNetworks(docker, ids) : new Set<string>()
    ])
    const look = { now: engine.now, containers, images, volumes }
    return items.filter((item) => {
      const absent = kind === 'network' && !networks.has(item.id)
      const change = absent ? { gone: true as const } : recheck(item, look)
      if (change === undefined) return true
      settle(
        item,
        change.gone
          ? { outcome: 'gone' }
          : { outcome: 'kept', reason: 'changed', detail: change.detail }
      )
      return false
    })
  }

  const planned = {
    container: new Map(inventory.containers.map((entry) => [entry.id, entry])),
    network: new Map(inventory.networks.map((entry) => [entry.id, entry])),
    image: new Map(inventory.images.map((entry) => [entry.id, entry])),
    volume: new Map(inventory.volumes.map((entry) => [entry.name, entry]))
  } satisfies {
    container: Map<string, Container>
    network: Map<string, Network>
    image: Map<string, Image>
    volume: Map<string, Volume>
  }

  function imageOf({ kind, id }: PlanItem): Image | undefined {
    return kind === 'image' ? planned.image.get(id) : undefined
  }

  function recheck(
    { kind, id }: PlanItem,
    look: SecondLook
  ): Change | undefined {
    const container = kind === 'container' && planned.container.get(id)
    if (container) return recheckContainer(container, look)
    const network = kind === 'network' && planned.network.get(id)
    if (network) return recheckNetwork(network, look)
    const image = kind === 'image' && planned.image.get(id)
    if (image) return recheckImage(image, look)
    const volume = kind === 'volume' && planned.volume.get(id)
    if (volume) return recheckVolume(volume, look)
    throw new Error(`${kind} ${id} is not in the inventory`)
  }

  /**
   * Takes references off an image; returns the engine's words where it refused. The containerd store compares and
   * deletes in one; on others the reference is read right before, one at a time.
   */
  async function untag(
    item: PlanItem,
    references: readonly string[]
  ): Promise<string> {
    const done: string[] = []
    takenOff.set(item, done)
    let words = ''
    for (const reference of references) {
      let name = reference
      if (engine.store === 'containerd' && !reference.includes('@'))
        name = `${reference}@${item.id}`
      else if (!(await means(reference, item.id))) continue
      const output = await docker([...commands.image.args, '--', name])
      if (output.exitCode === 0) done.push(reference)
      else if (!isAbsent(output)) words = output.stderr.trim()
    }
    return words
  }

  async function means(reference: string, id: string): Promise<boolean> {
    const [image] = await inspectImages(docker, engine, [reference])
    return image?.id === id
  }

  function settleUntagged(item: PlanItem, words: string): void {
    if (words !== '') settle(item, { outcome: 'failed', detail: words })
    else if (takenOff.get(item)?.length) settle(item, { outcome: 'untagged' })
    else
      settle(item, {
        outcome: 'kept',
        reason: 'changed',
        detail: 'its references mean other images now'
      })
  }

  async function prune(item: PlanItem): Promise<void> {
    if (stopped()) return
    try {
      settle(item, await pruneBuildCache({ ...options, docker }))
    } catch (error) {
      const broken = asDockerError(error)
      if (broken.kind === 'no-answer' && Date.now() >= deadline)
        settle(item, {
          outcome: 'kept',
          reason: 'budget',
          detail: 'the engine was still removing records when the time was up'
        })
      else {
        fatal ??= broken
        settle(item, { outcome: 'failed', detail: broken.message })
      }
    }
  }

  function finish(items: readonly PlanItem[]): Removal {
    const why =
      fatal ?? (signal.aborted ? 'the run was cancelled' : 'the time was up')
    const detail = `not done: ${why instanceof DockerError ? why.message : why}`
    for (const item of items)
      settle(item, { outcome: 'kept', reason: 'budget', detail })
    return { results: [...results.values()], fatal }
  }

  return { removeInBatches, prune, finish }
}

function takeBatch(queue: PlanItem[], size: number): PlanItem[] {
  let characters = 0
  let count = 0
  for (const { id } of queue.slice(0, size)) {
    characters += id.length + 1
    if (count > 0 && characters > longestCommand) break
    count += 1
  }
  return queue.splice(0, count)
}

/**
 * The references to take off by name: of an image that stays those that expired; of one that goes all but what the
 * engine lets go with its ID, that is one tag and the digests of the same repository.
 */
export function referencesToUntag(
  { decision }: PlanItem,
  image: Image | undefined
): string[] {
  if (decision.action === 'untag') return decision.removedReferences
  const references = image?.references ?? []
  const last = references.find((one) => !one.includes('@')) ?? references[0]
  if (last === undefined) return []
  const { repository } = parseReference(last)
  return references.filter(
    (one) =>
      one !== last &&
      !(one.includes('@') && parseReference(one).repository === repository)
  )
}

function isAbsent({ stderr }: Output): boolean {
  return /no such|not found|already in progress/i.test(stderr)
}

/** Reads what the engine answered to the removal of one thing that was still there, and still to go. */
function readRefusal(output: Output, done: boolean): Omit<Result, 'item'> {
  if (done) return { outcome: 'removed' }
  if (isAbsent(output)) return { outcome: 'gone' }
  const detail = output.stderr.trim() || `exit code ${output.exitCode}`
  // The engine knows of a use that no listing shows yet.
  const used =
    /in use|being used|is using|active endpoints|dependent child|cannot remove a running|is running/i
  return used.test(detail)
    ? { outcome: 'kept', reason: 'changed', detail }
    : { outcome: 'failed', detail }
}

function asDockerError(error: unknown): DockerError {
  // Whatever went wrong, what was done until then is still to be reported.
  return error instanceof DockerError
    ? error
    : new DockerError('failed', String(error))
}
