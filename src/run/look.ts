import type { Docker, RunningCall } from '../docker/cli.ts'
import { readContext, readEngine } from '../docker/engine.ts'
import { readInventory } from '../docker/inventory.ts'
import { podmanNote } from '../docker/podman.ts'
import { findDisks } from '../host/disk.ts'
import { findSelf, whyNotHere } from '../host/here.ts'
import { findOldestJob } from '../host/workers.ts'
import type {
  Engine,
  EngineContext,
  ImageFacts,
  Inventory
} from '../model/inventory.ts'
import type { Policy } from '../model/policy.ts'
import { type EventStream, noStream, streamEvents } from '../removal/stream.ts'
import { describeEngine } from '../report/log.ts'
import { readFacts } from '../state/imageFacts.ts'
import { formatDuration } from '../units.ts'
import { list } from '../words.ts'
import type { Gate } from './gate.ts'
import { remember } from './memory.ts'
import { withSignsOfLife } from './progress.ts'
import type { Looked, Step, World } from './world.ts'

/** Lists everything on the engine, and adds what earlier runs and this host know. Changes nothing. */
export async function look(step: Step, gate?: Gate): Promise<Looked> {
  const { docker, options, world } = step
  const lookedAt = Date.now()
  const [engine, context] = await readEngineAndContext(docker, world.env, gate)
  const stream = listenTo(step, engine, gate?.closed)
  world.show(options.docker, ['--version'])
  const { rootDir, store } = engine
  const key = { endpoint: context.endpoint, rootDir, store }
  const facts =
    options.stateDir === ''
      ? new Map<string, ImageFacts>()
      : await readFacts(options.stateDir, key)
  const listed = await listAll(step, engine, context, facts)
  const listedAt = Date.now()
  const away = await whyNotHere(engine, context.endpoint)
  const oldestJob = away === undefined ? await findOldestJob() : undefined
  const inventory = await remember(
    { ...listed, oldestJob, self: await findSelf() },
    key,
    options.stateDir,
    world.log
  )
  world.log.info(describeEngine(inventory))
  if (engine.kind === 'podman') world.log.info(podmanNote(engine))
  const disks = gate?.disks ?? (await findDisks(engine, context.endpoint))
  return {
    ...{ engine, key, facts, inventory, context, disks },
    ...{ lookedAt, listedAt, stream, closed: gate?.closed ?? false }
  }
}

export function readEngineAndContext(
  docker: Docker,
  env: World['env'],
  gate?: Gate
): Promise<[Engine, EngineContext]> {
  return Promise.all([
    readEngine(docker, env, gate?.info),
    gate?.context ?? readContext(docker)
  ])
}

function listenTo(
  { options, world, leave }: Step,
  engine: Engine,
  closed = false
): EventStream {
  if (options.dryRun || closed) return noStream
  const { docker: command } = options
  return streamEvents(engine, { command, env: world.env, signal: leave })
}

/** Milliseconds for listing volumes that no input includes. */
export const unneededVolumes = 5_000

function listAll(
  { docker, running, policy, world }: Step,
  engine: Engine,
  { name }: EngineContext,
  facts: ReadonlyMap<string, ImageFacts>
): Promise<Inventory> {
  const limit = needsVolumes(policy) ? undefined : unneededVolumes
  return withSignsOfLife(
    readInventory(docker, engine, name, facts, limit),
    (elapsed) => {
      world.log.info(`… ${formatDuration(elapsed)}: ${describeWait(running)}`)
    }
  )
}

/** A builder goes with its state volume. */
function needsVolumes({ includeVolumes, includeBuilders }: Policy): boolean {
  return includeVolumes !== 'none' || includeBuilders !== 'none'
}

function describeWait(running: ReadonlySet<RunningCall>): string {
  const now = performance.now()
  const waits = [...running].map(
    ({ command, since }) => `${command} (${formatDuration(now - since)})`
  )
  return `still waiting for ${list(waits)}`
}
