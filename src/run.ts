import { homedir } from 'node:os'
import { join } from 'node:path'
import { listBuildCache } from './docker/buildCache.ts'
import { createDocker, orNothing, type Docker } from './docker/cli.ts'
import { readDisk, type Disk } from './docker/disk.ts'
import {
  askAgain,
  findContext,
  lookAtAll,
  lookAtEngine,
  type Context
} from './docker/inventory.ts'
import { removeAll, type Removal, type Result } from './docker/removal.ts'
import { podmanNote } from './docker/podman.ts'
import {
  measureContainers,
  measureLayers,
  measureVolumes
} from './docker/sizes.ts'
import { traitsOf } from './docker/traits.ts'
import { watchEngine, type Watch } from './docker/watch.ts'
import {
  defaults,
  readInputs,
  type InputTexts,
  type Options
} from './inputs.ts'
import { readFacts, writeFacts, type ImageFacts } from './imageFacts.ts'
import { readLedger, writeLedger } from './ledger.ts'
import type { EngineKey } from './stateFile.ts'
import { imagesToMeasure } from './policy/bytes.ts'
import type { Engine, Inventory } from './policy/inventory.ts'
import { updateLedger } from './policy/ledger.ts'
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
import { heldBytes } from './report/held.ts'
import { makeReport, type Report } from './report/report.ts'
import { headline } from './report/headline.ts'
import { renderSummary } from './report/summary.ts'
import { count } from './report/text.ts'
import { formatDuration } from './units.ts'

/** What a run needs of the world around it. */
export type World = {
  getInput: (name: string) => string | undefined
  env: Record<string, string | undefined>
  log: Log
  /** Runs a docker command that reaches no engine, with its output in the log; nobody waits for it. */
  show: (command: string, args: string[]) => void
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
  const { policy, options, texts } = readInputs(world.getInput, {
    now: startedAt.getTime(),
    env: world.env
  })
  // Ends what is still under way: the watch, and where one call of several has failed, the others.
  const leave = new AbortController()
  const deadline = startedAt.getTime() + options.timeout
  const docker = createDocker({
    command: options.docker,
    env: world.env,
    concurrency: options.concurrency,
    deadline,
    signal: AbortSignal.any([world.signal, leave.signal])
  })
  try {
    const step = {
      docker,
      policy,
      options,
      deadline,
      world,
      leave: leave.signal
    }
    const looked = await world.log.group('Look', () => look(step))
    const { plan, sizes, inventory } = await world.log.group('Plan', () =>
      decide(step, looked)
    )
    const removal = options.dryRun
      ? undefined
      : await world.log.group('Remove', () =>
          act(step, plan, { ...looked, inventory })
        )
    if (options.stateDir !== '')
      await writeFacts(
        options.stateDir,
        looked.key,
        factsOf(inventory, sizes, removal)
      )
    const { engine } = looked
    const after =
      looked.disk && (await readDisk(engine, looked.context.endpoint))
    const disk = { before: looked.disk, after }
    const finishedAt = new Date()
    const report = makeReport({
      ...{ engine, inventory, plan, sizes, removal },
      ...{ disk, startedAt, finishedAt }
    })
    const failure = describeFailure(report, removal, world.signal)
    const warnings = collectWarnings(looked, plan, report, texts, failure)
    for (const warning of warnings) world.log.warning(warning)
    world.log.info(headline({ report, disk }))
    const held = heldBytes(inventory, report.resources)
    return {
      report,
      reportFile: options.reportFile,
      outputs: makeOutputs(report, options.reportFile),
      summary: renderSummary({
        ...{ report, inputs: texts, disk, held, warnings },
        podman: engine.kind === 'podman' ? podmanNote(engine) : undefined,
        error: failure
      }),
      failure
    }
  } finally {
    leave.abort()
  }
}

/** What every part of the step needs. */
type Step = {
  docker: Docker
  policy: Policy
  options: Options
  /** Milliseconds, as Date.now() counts. */
  deadline: number
  world: World
  /** Aborts when the step is over. */
  leave: AbortSignal
}

type Looked = {
  engine: Engine
  key: EngineKey
  /** What earlier runs were told of the images. */
  facts: ReadonlyMap<string, ImageFacts>
  inventory: Inventory
  context: Context
  disk: Disk | undefined
  /** Milliseconds, as Date.now() counts, when the listing began. */
  lookedAt: number
  watch: Watch
}

async function look({ docker, options, world, leave }: Step): Promise<Looked> {
  const { env, log, show } = world
  const lookedAt = Date.now()
  const [engine, context] = await Promise.all([
    lookAtEngine(docker, env),
    findContext(docker)
  ])
  const onBroken = () => {
    log.info(
      "The stream of the engine's events broke off: what changes meanwhile, only the listings tell."
    )
  }
  const watch = options.dryRun
    ? { events: () => [] }
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
    lookAtAll(docker, engine, context.name, facts),
    (elapsed) => {
      log.info(`… ${formatDuration(elapsed)}: the engine is still listing`)
    }
  )
  const inventory = await remember(listed, key, options.stateDir, log)
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
  const disk = await readDisk(engine, context.endpoint)
  return { engine, key, facts, inventory, context, disk, lookedAt, watch }
}

/** Adds what earlier runs have seen, and writes down what this one sees. Never fails: what goes wrong is a warning. */
async function remember(
  listed: Inventory,
  key: EngineKey,
  stateDir: string,
  log: Log
): Promise<Inventory> {
  if (stateDir === '') return listed
  const { entries, problem } = await readLedger(stateDir, key)
  const inventory = { ...listed, ledger: entries, remembers: true }
  const failure = await writeLedger(stateDir, key, updateLedger(inventory))
  for (const why of [problem, failure])
    if (why !== undefined)
      log.warning(
        `The ledger of earlier runs (state-dir) cannot be used: ${why}`
      )
  return { ...inventory, remembers: failure === undefined }
}

async function decide(
  { docker, policy, world }: Step,
  { inventory: listed, facts }: Looked
): Promise<{ plan: Plan; sizes: Sizes; inventory: Inventory }> {
  const { plan: unmeasured, inventory } = await planForCertain(
    docker,
    listed,
    policy
  )
  const sizes = await measure(docker, inventory, unmeasured, facts)
  const plan = measurePlan(unmeasured, inventory, sizes)
  for (const line of planLines(plan)) world.log.info(line)
  return { plan, sizes, inventory }
}

/**
 * Plans, and asks for the images that would go by what an earlier run was told: they may have been tagged since, and be
 * younger than it seems. What stays by that is younger, too, at the most.
 */
async function planForCertain(
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
    if (unsure.length === 0 || untilDuration(policy, engine.now) === 0)
      return { plan, inventory }
    inventory = await askAgain(docker, inventory, unsure)
  }
}

/** Asks for the figures that cost an extra call, side by side; one that cannot be had is left out. */
async function measure(
  docker: Docker,
  inventory: Inventory,
  plan: Plan,
  facts: ReadonlyMap<string, ImageFacts>
): Promise<Sizes> {
  const going = (kind: Kind) =>
    plannedItems(plan)
      .filter((item) => item.kind === kind && item.decision.action === 'remove')
      .map(({ id }) => id)
  const containers = going('container')
  const known = new Map(
    inventory.images.flatMap(({ id }) => {
      const sizes = facts.get(id)?.layerSizes
      return sizes ? [[id, sizes] as const] : []
    })
  )
  const apart = new Set(
    imagesToMeasure(inventory.images, going('image'), known)
  )
  const images = inventory.images.filter(({ id }) => apart.has(id))
  const [ofContainers, ofVolumes, layers] = await Promise.all([
    orNothing(measureContainers(docker, containers)),
    going('volume').length > 0 ? measureVolumes(docker) : undefined,
    orNothing(measureLayers(docker, inventory.engine, images))
  ])
  return {
    containers: ofContainers ?? new Map(),
    volumes: ofVolumes ?? new Map(),
    layers: new Map([...known, ...(layers ?? [])])
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

/** What the next run need not ask again: not of what went, or was not as it was thought to be. */
function factsOf(
  { engine, images }: Inventory,
  { layers }: Sizes,
  removal: Removal | undefined
): Map<string, ImageFacts> {
  const fates = new Map(
    removal?.results.map(({ item, outcome }) => [item.id, outcome])
  )
  const { remembersImages } = traitsOf(engine)
  return new Map(
    images.flatMap((image) => {
      const { id } = image
      const fate = fates.get(id)
      if (fate === 'removed' || fate === 'gone') return []
      const layerSizes = layers.get(id)
      const same = remembersImages && fate === undefined ? image : undefined
      return same || layerSizes
        ? [[id, { image: same, layerSizes }] as const]
        : []
    })
  )
}

async function act(
  { docker, policy, options, deadline, world }: Step,
  plan: Plan,
  { engine, inventory, context, lookedAt, watch }: Looked
): Promise<Removal> {
  const items = plannedItems(plan)
  const results: Result[] = []
  return withSignsOfLife(
    removeAll(items, {
      docker,
      inventory,
      watch,
      cache: {
        builder: context.name,
        lookedAt,
        until: untilDuration(policy, engine.now),
        keep: policy.buildCacheKeep,
        configFolder: world.env['DOCKER_CONFIG'] ?? join(homedir(), '.docker')
      },
      listCache: (docker) => listBuildCache(docker, engine, context.name),
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
  const first = resources.find(({ outcome }) => outcome === 'failed')
  return (
    first &&
    `${count(totals.failed, 'planned removal')} failed. ` +
      `The first: ${first.kind} ${first.name}: ${first.detail}`
  )
}

function collectWarnings(
  { inventory }: Looked,
  { unmatched }: Plan,
  { resources }: Report,
  texts: InputTexts,
  failure: string | undefined
): string[] {
  const late = resources.filter(({ reason }) => reason === 'budget').length
  const cache = resources.find(({ kind }) => kind === 'build-cache')
  return [
    ...unmatched
      // The default is there for whoever wants to use it, and most do not.
      .filter(({ input }) => texts[input] !== defaults[input])
      .map(
        ({ input, pattern }) =>
          `${input}: nothing on this engine matches ${pattern}. Is it a typo that protects nothing?`
      ),
    ...inventory.unreadable.map(
      (name) => `The engine cannot tell of ${name}: it is left alone.`
    ),
    ...(late > 0 && failure === undefined
      ? [
          `The time was up (timeout: ${texts.timeout}): ${count(late, 'planned removal')} not done.`
        ]
      : []),
    ...(cache?.reason === 'changed'
      ? [`The build cache was left as it is: ${cache.detail}`]
      : [])
  ]
}
