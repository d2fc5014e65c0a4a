import { setTimeout as sleep } from 'node:timers/promises'
import pLimit from 'p-limit'
import type { Docker } from '../docker/cli.ts'
import type { Output } from '../docker/errors.ts'
import { type Builder, findBuilders } from '../model/builders.ts'
import { byKey } from '../model/inventory.ts'
import type { Outcome } from '../model/outcome.ts'
import { isStopped, type PlanItem } from '../model/plan.ts'
import { readReportedIds } from './commands.ts'
import { hasTimeToStop, stop } from './containers.ts'
import { recheckBuilder } from './recheck.ts'
import { readChange, readRefusal } from './refusal.ts'
import type { SecondLook } from './secondLook.ts'
import {
  attempt,
  fail,
  lookAt,
  record,
  type Session,
  whyOver
} from './session.ts'

/** Milliseconds between the two looks that must both find no client in a running builder. */
const timeWithoutClient = 10_000

/** Removes builders, the running ones last. `listedAt` is when the first look for their clients was complete. */
export async function removeBuilders(
  session: Session,
  items: readonly PlanItem[],
  listedAt: number
): Promise<void> {
  const { inventory, concurrency, signal } = session
  const builders = byKey(findBuilders(inventory), ({ id }) => id)
  const limit = pLimit(concurrency)
  const removeOne = async (item: PlanItem) => {
    const builder = builders.get(item.id)
    if (builder === undefined) throw new Error(`${item.id} is no builder`)
    if (!whyOver(session)) await removeChecked(session, item, builder)
  }
  const running = items.filter(isStopped)
  const others = items.filter((item) => !isStopped(item))
  await limit.map(others, removeOne)
  const end = listedAt + timeWithoutClient
  if (running.length === 0 || whyOver(session) || !hasTimeToStop(session, end))
    return
  // A cancel ends the wait.
  await sleep(end - Date.now(), undefined, { signal }).catch(() => undefined)
  await limit.map(running, async (item) => {
    if (hasTimeToStop(session)) await removeOne(item)
  })
}

async function removeChecked(
  session: Session,
  item: PlanItem,
  builder: Builder
): Promise<void> {
  const { container, volume } = builder
  const volumes = volume ? [volume.name] : []
  const containers = container ? [container.id] : []
  const look = () => lookAt(session, 'volume', volumes, containers)
  const tools = {
    docker: session.docker,
    look,
    stop: async () => (await stop(session, [item])).output
  }
  try {
    const change = recheckBuilder(builder, await look())
    const outcome = change
      ? readChange(change)
      : await attempt(session, [item], () => removeBuilder(builder, tools))
    record(session, item, outcome)
  } catch (error) {
    fail(session, error)
  }
}

type Tools = {
  docker: Docker
  stop: () => Promise<Output>
  /** Looks again at the builder and at what may need it. */
  look: () => Promise<SecondLook>
}

/** Stops a builder if it runs, removes its container, then the volume with its state, unless that is used by now. */
async function removeBuilder(builder: Builder, tools: Tools): Promise<Outcome> {
  const { container, volume } = builder
  if (container === undefined) return removeState(builder, tools)
  const { id, state } = container
  if (state === 'running') {
    const output = await tools.stop()
    if (!isReported(output, id))
      return readFailure(builder, tools, output, 'container stop')
  }
  const args = ['container', 'rm', '--', id]
  const output = await tools.docker(args, { limit: Infinity })
  if (!isReported(output, id))
    return readFailure(builder, tools, output, 'container rm')
  if (volume === undefined) return { outcome: 'removed' }
  const left = { ...builder, id: volume.name, container: undefined }
  const change = recheckBuilder(left, await tools.look())
  const outcome = change ? readChange(change) : await removeState(left, tools)
  return outcome.outcome === 'removed' || outcome.outcome === 'gone'
    ? { outcome: 'removed' }
    : {
        ...outcome,
        detail: `container removed, state volume kept: ${outcome.detail ?? ''}`
      }
}

async function removeState(builder: Builder, tools: Tools): Promise<Outcome> {
  // The build cache in it can be large.
  const args = ['volume', 'rm', '--', builder.id]
  const output = await tools.docker(args, { limit: Infinity })
  return isReported(output, builder.id)
    ? { outcome: 'removed' }
    : readFailure(builder, tools, output, 'volume rm')
}

function isReported({ stdout }: Output, id: string): boolean {
  return readReportedIds(stdout).has(id)
}

/** Finds out why a call did not report success: somebody else was first, or the engine refused. */
async function readFailure(
  builder: Builder,
  { look }: Tools,
  output: Output,
  command: string
): Promise<Outcome> {
  const { id } = builder
  const seen = await look()
  const isThere = seen.containers.has(id) || seen.volumes.has(id)
  const change = isThere ? undefined : recheckBuilder(builder, seen)
  return change ? readChange(change) : readRefusal(output, command)
}
