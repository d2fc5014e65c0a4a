import { createDocker, DockerError, type Docker } from './docker/cli.ts'
import { readDisk, type Disk } from './docker/disk.ts'
import {
  findEndpoint,
  lookAtAll,
  lookAtEngine,
  measureContainers,
  measureLayers,
  measureVolumes
} from './docker/inventory.ts'
import { removeAll, type Removal, type Result } from './docker/removal.ts'
import { readInputs, type Options } from './inputs.ts'
import { freedBytes, imagesToMeasure } from './policy/bytes.ts'
import type { Engine, Inventory } from './policy/inventory.ts'
import {
  makePlan,
  measurePlan,
  plannedItems,
  type Kind,
  type Plan,
  type Sizes
} from './policy/plan.ts'
import { untilDuration, type Policy } from './policy/policy.ts'
import { planLines, progressLine, resultLine } from './report/log.ts'
import { makeOutputs } from './report/outputs.ts'
import { makeReport, type Report } from './report/report.ts'
import { headline, renderSummary } from './report/summary.ts'
import { formatDuration } from './units.ts'

/** What a run needs of the world around it. */
export type World = {
  getInput: (name: string) => string
  env: Record<string, string | undefined>
  log: Log
  /** Runs a docker command that reaches no engine, with its output in the log. */
  show: (command: string, args: string[]) => Promise<unknown>
  /** Aborts when the job is cancelled. */
  signal: AbortSignal
}

export type Log = {
  info: (text: string) => void
  warning: (text: string) => void
  group: <T>(title: string, body: () => Promise<T>) => Promise<T>
}

/** How a run ended: what is to be written where, and why the step has to fail, if it has to. */
export type Ending = {
  report: Report
  reportFile: string
  outputs: Record<string, string>
  summary: string
  failure: string | undefined
}

/**
 * The whole step: reads the inputs, looks at the engine, plans, acts, reports. Throws an InputError or a DockerError
 * where it could not come to a plan: nothing has been removed then.
 */
export async function run(world: World): Promise<Ending> {
  const startedAt = new Date()
  const { getInput, env, log, signal } = world
  const { policy, options } = readInputs(getInput, {
    now: startedAt.getTime(),
    temp: env['RUNNER_TEMP']
  })
  const deadline = startedAt.getTime() + options.timeout
  const docker = createDocker({
    command: options.docker,
    env,
    concurrency: options.concurrency,
    deadline,
    signal
  })

  const looked = await log.group('Look', () =>
    look(docker, policy, options, world)
  )
  const { engine, inventory } = looked
  const unmeasured = makePlan(inventory, policy)
  const sizes = await measure(docker, inventory, unmeasured)
  const plan = measurePlan(unmeasured, inventory, sizes)
  await log.group('Plan', () => {
    for (const line of planLines(plan)) log.info(line)
    return Promise.resolve()
  })
  const removal = options.dryRun
    ? undefined
    : await log.group('Remove', () =>
        act(plan, { docker, policy, options, looked, deadline, world })
      )

  const disk = {
    before: looked.disk,
    after: looked.disk && (await readDisk(engine, looked.endpoint))
  }
  const report = makeReport({
    engine,
    inventory,
    plan,
    sizes,
    removal,
    disk,
    startedAt,
    finishedAt: new Date()
  })
  const failure = describeFailure(report, removal, signal)
  const warnings = collectWarnings(plan, report, options)
  for (const warning of warnings) log.warning(warning)
  log.info(headline({ report, disk }))
  const held = heldBytes(inventory, plan)
  return {
    report,
    reportFile: options.reportFile,
    outputs: makeOutputs(report, options.reportFile),
    summary: renderSummary({
      report,
      policy,
      disk,
      held,
      warnings,
      error: failure
    }),
    failure
  }
}

type Looked = {
  engine: Engine
  inventory: Inventory
  endpoint: string
  disk: Disk | undefined
  /** Milliseconds, as Date.now() counts, when the listing began. */
  lookedAt: number
}

async function look(
  docker: Docker,
  policy: Policy,
  options: Options,
  { env, log, show }: World
): Promise<Looked> {
  const lookedAt = Date.now()
  const engine = await lookAtEngine(docker, env)
  const [inventory, endpoint] = await Promise.all([
    withSignsOfLife(
      lookAtAll(docker, engine, policy.includeBuildCache),
      (elapsed) => {
        log.info(`… ${formatDuration(elapsed)}: the engine is still listing`)
      }
    ),
    findEndpoint(docker),
    show(options.docker, ['--version'])
  ])
  const { containers, images, networks, volumes } = inventory
  log.info(
    `Engine ${engine.name}, Docker ${engine.version}, image store ${engine.store}: ` +
      `${containers.length} containers, ${images.length} images, ${networks.length} networks, ${volumes.length} volumes`
  )
  const disk = await readDisk(engine, endpoint)
  return { engine, inventory, endpoint, disk, lookedAt }
}

/** Asks for the figures that cost an extra call, side by side; one that cannot be had is left out. */
async function measure(
  docker: Docker,
  inventory: Inventory,
  plan: Plan
): Promise<Sizes> {
  const going = (kind: Kind) =>
    plannedItems(plan)
      .filter((item) => item.kind === kind && item.decision.action === 'remove')
      .map(({ id }) => id)
  const containers = going('container')
  const apart = new Set(imagesToMeasure(inventory.images, going('image')))
  const images = inventory.images.filter(({ id }) => apart.has(id))
  const [ofContainers, ofVolumes, layers] = await Promise.all([
    containers.length > 0
      ? orNothing(measureContainers(docker, containers))
      : undefined,
    going('volume').length > 0 ? orNothing(measureVolumes(docker)) : undefined,
    orNothing(measureLayers(docker, inventory.engine, images))
  ])
  return {
    containers: ofContainers ?? new Map(),
    volumes: ofVolumes ?? new Map(),
    layers: layers ?? new Map()
  }
}

async function orNothing<T>(figure: Promise<T>): Promise<T | undefined> {
  try {
    return await figure
  } catch (error) {
    if (error instanceof DockerError && error.kind !== 'cancelled')
      return undefined
    throw error
  }
}

const signOfLife = 5_000

/** Calls back every few seconds until the work is done. */
async function withSignsOfLife<T>(
  work: Promise<T>,
  tell: (elapsed: number) => void
): Promise<T> {
  const start = Date.now()
  const timer = setInterval(() => {
    tell(Date.now() - start)
  }, signOfLife)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}

async function act(
  plan: Plan,
  context: {
    docker: Docker
    policy: Policy
    options: Options
    looked: Looked
    deadline: number
    world: World
  }
): Promise<Removal> {
  const { docker, policy, options, looked, deadline, world } = context
  const items = plannedItems(plan)
  const results: Result[] = []
  return withSignsOfLife(
    removeAll(items, {
      docker,
      inventory: looked.inventory,
      lookedAt: looked.lookedAt,
      until: untilDuration(policy, looked.engine.now),
      buildCacheKeep: policy.buildCacheKeep,
      concurrency: options.concurrency,
      deadline,
      signal: world.signal,
      onResult: (result) => {
        results.push(result)
        world.log.info(resultLine(result))
      }
    }),
    (elapsed) => {
      world.log.info(progressLine(results, items.length, elapsed))
    }
  )
}

/** Why the step has to fail although a report was made, or undefined. */
function describeFailure(
  { resources, totals }: Report,
  removal: Removal | undefined,
  signal: AbortSignal
): string | undefined {
  if (signal.aborted)
    return 'The run was cancelled: the summary says what was done until then.'
  if (removal?.fatal !== undefined)
    return `The engine failed during the removal: ${removal.fatal.message}`
  if (totals.failed === 0) return undefined
  const [first] = resources.filter(({ outcome }) => outcome === 'failed')
  return (
    `${totals.failed} of the planned removals failed, all others were done. ` +
    `The first: ${first?.kind ?? ''} ${first?.name ?? ''}: ${first?.detail ?? ''}`
  )
}

function collectWarnings(
  { unmatched }: Plan,
  { resources }: Report,
  { timeout }: Options
): string[] {
  const late = resources.filter(({ reason }) => reason === 'budget').length
  return [
    ...unmatched
      // The default is there for whoever wants to use it, and most do not.
      .filter((pattern) => pattern !== 'keep')
      .map(
        (pattern) =>
          `Nothing on this engine matches the protected pattern ${pattern}: is it a typo that protects nothing?`
      ),
    ...(late > 0
      ? [
          `The time was up (timeout: ${formatDuration(timeout)}): ${late} planned removals were not done.`
        ]
      : []),
    ...resources
      .filter(
        ({ kind, reason }) => kind === 'build-cache' && reason === 'changed'
      )
      .map(({ detail }) => `The build cache was left as it is: ${detail}`)
  ]
}

/** What the removal of all images that stay for a reason would free, in bytes. */
function heldBytes(
  { images }: Inventory,
  { items }: Plan
): Map<string, number> {
  const kept = items.filter(
    ({ kind, decision }) => kind === 'image' && decision.action === 'keep'
  )
  const byReason = Map.groupBy(kept, ({ decision }) => decision.reason)
  return new Map(
    [...byReason].map(([reason, group]) => {
      const ids = group.map(({ id }) => id)
      const freed = freedBytes(images, ids)
      return [
        reason,
        [...freed.values()].reduce((sum, bytes) => sum + bytes, 0)
      ]
    })
  )
}
