import type { Docker, RunningCall } from '../docker/cli.ts'
import { readContext, readEngine } from '../docker/engine.ts'
import { readInventory } from '../docker/inventory.ts'
import { podmanNote } from '../docker/podman.ts'
import { findDisks } from '../host/disk.ts'
import { whyNotHere } from '../host/here.ts'
import { findOldestJob } from '../host/workers.ts'
import type { Engine, EngineContext, ImageFacts } from '../model/inventory.ts'
import type { Policy } from '../model/policy.ts'
import { watchEngine } from '../removal/watch.ts'
import { remember } from './memory.ts'
import { withSignsOfLife } from './progress.ts'
import type { Looked, Step, World } from './world.ts'
import { readFacts } from '../state/imageFacts.ts'
import { formatDuration } from '../units.ts'
import { count, list } from '../words.ts'

export function readEngineAndContext(
  docker: Docker,
  env: World['env']
): Promise<[Engine, EngineContext]> {
  return Promise.all([readEngine(docker, env), readContext(docker)])
}

/** Milliseconds for the volumes, where no input lets one go. */
export const unneededVolumes = 5_000

export async function look(step: Step): Promise<Looked> {
  const { docker, running, policy, options, world, leave } = step
  const { env, log, show } = world
  const lookedAt = Date.now()
  const [engine, context] = await readEngineAndContext(docker, env)
  const onBroken = () => {
    log.info(
      "The stream of the engine's events broke off: what changes meanwhile, only the listings tell."
    )
  }
  const watch = options.dryRun
    ? { events: () => [], isLive: () => false }
    : watchEngine(engine, {
        command: options.docker,
        env,
        signal: leave,
        onBroken
      })
  show(options.docker, ['--version'])
  const key = {
    endpoint: context.endpoint,
    rootDir: engine.rootDir,
    store: engine.store
  }
  const facts =
    options.stateDir === ''
      ? new Map<string, ImageFacts>()
      : await readFacts(options.stateDir, key)
  const listed = await withSignsOfLife(
    readInventory(
      docker,
      engine,
      context.name,
      facts,
      needsVolumes(policy) ? undefined : unneededVolumes
    ),
    (elapsed) => {
      log.info(`… ${formatDuration(elapsed)}: ${describeWait(running)}`)
    }
  )
  const listedAt = Date.now()
  const away = await whyNotHere(engine, context.endpoint)
  const oldestJob = away === undefined ? await findOldestJob() : undefined
  const seen = { ...listed, oldestJob }
  const inventory = await remember(seen, key, options.stateDir, log)
  const { containers, images, networks, volumes } = inventory
  const held = [
    count(containers.length, 'container'),
    count(images.length, 'image'),
    count(networks.length, 'network'),
    count(volumes.length, 'volume')
  ]
  log.info(
    `Engine ${engine.name}, ${engine.kind === 'podman' ? 'Podman' : 'Docker'} ${engine.version}, image store ${engine.store}: ${held.join(', ')}`
  )
  if (engine.kind === 'podman') log.info(podmanNote(engine))
  const disks = await findDisks(engine, context.endpoint)
  return {
    ...{ engine, key, facts, inventory, context, disks },
    ...{ lookedAt, listedAt, watch }
  }
}

/** Whether an input lets a volume go; a builder takes its state along. */
function needsVolumes({ includeVolumes, includeBuilders }: Policy): boolean {
  return includeVolumes !== 'none' || includeBuilders !== 'none'
}

/** Says which call is waited for, the oldest first. */
function describeWait(running: ReadonlySet<RunningCall>): string {
  const now = performance.now()
  const waits = [...running].map(
    ({ command, since }) => `${command} (${formatDuration(now - since)})`
  )
  return `the engine is still listing: ${list(waits)}`
}
