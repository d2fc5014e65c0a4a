import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { listBuildCache } from './docker/buildCache.ts'
import {
  createDocker,
  orNothing,
  type Docker,
  type RunningCall
} from './docker/cli.ts'
import { list } from './model/decision.ts'
import { findDisks, readSpace, whyNotHere, type Disk } from './host/disk.ts'
import {
  askAgain,
  findContext,
  lookAtAll,
  lookAtEngine,
  type Context
} from './docker/inventory.ts'
import { logsNote, measureLogs } from './host/logs.ts'
import { removeAll, type Removal, type Result } from './removal/removal.ts'
import { podmanNote } from './docker/podman.ts'
import {
  measureContainers,
  measureLayers,
  measureVolumes,
  type Written
} from './docker/sizes.ts'
import { traitsOf } from './docker/traits.ts'
import { watchEngine, type Watch } from './removal/watch.ts'
import {
  defaults,
  InputError,
  readInputs,
  type InputTexts,
  type Options
} from './inputs/schema.ts'
import { readFacts, writeFacts, type ImageFacts } from './state/imageFacts.ts'
import { readLedger, writeLedger } from './state/ledgerFile.ts'
import type { EngineKey } from './state/stateFile.ts'
import { findBuilders, sizesOfBuilders } from './policy/builders.ts'
import { imagesToMeasure } from './accounting/layers.ts'
import { imagesToSplit, withPacked } from './accounting/cache.ts'
import type { Engine, Inventory } from './model/inventory.ts'
import { entriesThatHold, updateLedger } from './state/ledger.ts'
import {
  makePlan,
  measurePlan,
  plannedItems,
  type Kind,
  type LogSizes,
  type Plan,
  type Sizes
} from './policy/plan.ts'
import { untilDuration, type Policy } from './model/policy.ts'
import { findNumbers } from './policy/scope/pullRequests.ts'
import {
  describeHeld,
  planLines,
  progressLine,
  resultLine,
  scopeLines,
  stateLines
} from './report/log.ts'
import { makeOutputs } from './report/outputs.ts'
import { heldBytes } from './report/ownBytes.ts'
import { makeReport, type Report } from './report/report.ts'
import { headline } from './report/headline.ts'
import { renderNothing, renderSummary } from './report/summary.ts'
import { count } from './report/text.ts'
import { readEvent } from './inputs/event.ts'
import { findBefore, readSnapshot, takeSnapshot } from './state/jobSnapshot.ts'
import { findOldestJob } from './host/workers.ts'
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
  /** Keeps a word for the post step, and returns what went wrong; undefined where there is no such step. */
  saveState: ((name: 'snapshot', value: string) => string) | undefined
  /** In the post step: the file that tells what was there before the job. */
  snapshotFile: string | undefined
}

export type Log = {
  info: (text: string) => void
  warning: (text: string) => void
  group: <T>(title: string, body: () => Promise<T>) => Promise<T>
}

/** How a run ended: what is to be written where, and why the step has to fail, if it has to. */
export type Ending = {
  /** Undefined where there was no plan. */
  report: Report | undefined
  reportFile: string
  outputs: Record<string, string>
  summary: string
  /** What was reclaimed, in one sentence; empty where there was no plan. */
  answer: string
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
    env: world.env,
    event: await readEvent(world.env)
  })
  for (const line of scopeLines(policy, texts)) world.log.info(line)
  // Ends what is still under way: the watch, and where one call of several has failed, the others.
  const leave = new AbortController()
  const deadline = startedAt.getTime() + options.timeout
  const running = new Set<RunningCall>()
  const docker = createDocker({
    running,
    command: options.docker,
    env: world.env,
    concurrency: options.concurrency,
    deadline,
    signal: AbortSignal.any([world.signal, leave.signal])
  })
  try {
    const step = {
      ...{ docker, policy, options, texts, startedAt, deadline, world },
      running,
      leave: leave.signal
    }
    // The runner reads the inputs of the post step anew: by then they may say something else.
    if (world.snapshotFile !== undefined && policy.scope.kind !== 'job')
      return leaveAll(step, 'its step had another scope by then')
    if (policy.scope.kind !== 'job') {
      const looked = await world.log.group('Look', () => look(step))
      return await cleanUp(step, looked, await ask(step, looked.inventory))
    }
    return world.snapshotFile === undefined
      ? await beginJob(step)
      : await endJob(step, world.snapshotFile)
  } finally {
    leave.abort()
  }
}

/** What every part of the step needs. */
type Step = {
  docker: Docker
  /** The calls of it that are under way. */
  running: ReadonlySet<RunningCall>
  policy: Policy
  options: Options
  texts: InputTexts
  startedAt: Date
  /** Milliseconds, as Date.now() counts. */
  deadline: number
  world: World
  /** Aborts when the step is over. */
  leave: AbortSignal
}

/** Before a job: only writes down what is there. */
async function beginJob({ docker, world }: Step): Promise<Ending> {
  const { env, log, saveState } = world
  if (saveState === undefined)
    throw new InputError(
      'scope: job takes a step of a workflow: elsewhere nobody starts what removes something after the job.'
    )
  const { file, before } = await log.group('Look', async () => {
    const [engine, context] = await lookAtBoth(docker, env)
    const folder = join(env['RUNNER_TEMP'] || tmpdir(), 'docker-reclaim')
    return takeSnapshot(docker, engine, context, folder)
  })
  const unsaved = file === undefined ? '' : saveState('snapshot', file)
  if ('problem' in before || unsaved !== '') {
    const why = 'problem' in before ? before.problem : unsaved
    log.warning(`Nothing will be removed after this job: ${why}`)
  } else log.info(`There before this job: ${describeHeld(before)}`)
  return nothingDone
}

/** After a job: removes what came since, if it is certain that it is this job's. */
async function endJob(step: Step, file: string): Promise<Ending> {
  const snapshot = await readSnapshot(file)
  if ('problem' in snapshot) return leaveAll(step, snapshot.problem)
  if ('problem' in snapshot.before)
    return leaveAll(step, snapshot.before.problem)
  const looked = await step.world.log.group('Look', () => look(step))
  const { engine, context } = looked
  // After the look: whoever has made something of what it saw is still to be seen, or has ended.
  const before = await findBefore(snapshot, engine, context)
  if ('problem' in before) return leaveAll(step, before.problem)
  const policy: Policy = { ...step.policy, scope: { kind: 'job', before } }
  return cleanUp(step, looked, { policy, problems: [] })
}

function leaveAll({ world }: Step, problem: string): Ending {
  const why = `Nothing is removed after this job: ${problem}`
  world.log.warning(why)
  return { ...nothingDone, summary: renderNothing(why) }
}

const nothingDone: Ending = {
  report: undefined,
  reportFile: '',
  outputs: {},
  summary: '',
  answer: '',
  failure: undefined
}

/** A policy that is complete, and what was not to be had for it. */
type Limited = { policy: Policy; problems: string[] }

/** Plans, acts and reports. */
async function cleanUp(
  step: Step,
  looked: Looked,
  { policy, problems }: Limited
): Promise<Ending> {
  const { options, texts, startedAt, world } = step
  const { plan, sizes, inventory } = await world.log.group('Plan', () =>
    decide(step, policy, looked)
  )
  const early = [...problems, ...warnEarly(plan, inventory, options.dryRun)]
  // Before anything is removed: whoever sees it in time can still cancel.
  for (const warning of early) world.log.warning(warning)
  const removal = options.dryRun
    ? undefined
    : await world.log.group('Remove', () =>
        act(step, plan, { ...looked, inventory })
      )
  const facts = factsOf(inventory, sizes, removal)
  if (options.stateDir !== '' && facts.size > 0)
    await writeFacts(options.stateDir, looked.key, facts)
  if (options.stateDir !== '')
    await forget(options.stateDir, looked, inventory, removal)
  const { engine } = looked
  const disks = await Promise.all(looked.disks.map(measureAgain))
  const finishedAt = new Date()
  const report = makeReport({
    ...{ engine, inventory, plan, sizes, removal },
    ...{ disks, startedAt, finishedAt }
  })
  const failure = describeFailure(report, removal, world.signal)
  const late = warnLate(report, texts)
  for (const warning of late) world.log.warning(warning)
  const held = heldBytes(inventory, report.resources)
  return {
    report,
    reportFile: options.reportFile,
    outputs: makeOutputs(report, options.reportFile),
    summary: renderSummary({
      ...{ report, inputs: texts, held },
      warnings: [...early, ...late],
      notes: sizes.logs.unread ? [logsNote] : [],
      podman: engine.kind === 'podman' ? podmanNote(engine) : undefined,
      error: failure
    }),
    answer: headline(report),
    failure
  }
}

async function measureAgain(disk: Disk) {
  const after = await readSpace(disk.path)
  return { ...disk, ...(after && { after }) }
}

type Looked = {
  engine: Engine
  key: EngineKey
  /** What earlier runs were told of the images. */
  facts: ReadonlyMap<string, ImageFacts>
  inventory: Inventory
  context: Context
  disks: Disk[]
  /** Milliseconds, as Date.now() counts, when the listing began. */
  lookedAt: number
  /** When it was there. */
  listedAt: number
  watch: Watch
}

function lookAtBoth(
  docker: Docker,
  env: World['env']
): Promise<[Engine, Context]> {
  return Promise.all([lookAtEngine(docker, env), findContext(docker)])
}

/** Milliseconds for the volumes, where no input lets one go. */
const unneededVolumes = 5_000

async function look(step: Step): Promise<Looked> {
  const { docker, running, policy, options, world, leave } = step
  const { env, log, show } = world
  const lookedAt = Date.now()
  const [engine, context] = await lookAtBoth(docker, env)
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
    lookAtAll(
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

/** Adds what earlier runs have seen, and writes down what this one sees. Never fails: what goes wrong is a warning. */
async function remember(
  listed: Inventory,
  key: EngineKey,
  stateDir: string,
  log: Log
): Promise<Inventory> {
  if (stateDir === '') return listed
  const { now } = listed.engine
  const { entries, problem } = await readLedger(stateDir, key, now)
  const ledger = entries && entriesThatHold(entries, listed.volumes)
  const inventory = { ...listed, ledger, remembers: true }
  const updated = updateLedger(inventory)
  const failure = await writeLedger(stateDir, key, updated, now)
  for (const why of [problem, failure])
    if (why !== undefined)
      log.warning(
        `The ledger of earlier runs (state-dir) cannot be used: ${why}. What nothing else dates may stay longer for that.`
      )
  return { ...inventory, remembers: failure === undefined }
}

/** Takes what has gone out of the ledger: should it come back, it is not what was known. */
async function forget(
  stateDir: string,
  { key, lookedAt }: Looked,
  inventory: Inventory,
  removal: Removal | undefined
): Promise<void> {
  const gone = new Set(
    removal?.results
      .filter(({ outcome }) => outcome === 'removed' || outcome === 'gone')
      .flatMap(({ item }) => [item.id, item.volume])
  )
  if (gone.size === 0 && inventory.remembers) return
  const now = inventory.engine.now + Date.now() - lookedAt
  // Anew, as another run may have written meanwhile; and where it could not be written, there may be room now.
  const { entries = updateLedger(inventory) } = inventory.remembers
    ? await readLedger(stateDir, key, now)
    : {}
  const left = entries.filter(({ id }) => !gone.has(id))
  await writeLedger(stateDir, key, left, now)
}

/** Asks GitHub for the states of the pull requests that something on the engine belongs to, where they matter. */
async function ask(
  { policy, options, deadline, world }: Step,
  inventory: Inventory
): Promise<Limited> {
  const { scope } = policy
  const { github } = options
  if (github === undefined || scope.kind !== 'pull-request')
    return { policy, problems: [] }
  const { repository, patterns } = scope
  const found = findNumbers(inventory, repository, patterns)
  if (found.length === 0) return { policy, problems: [] }
  return world.log.group('Ask GitHub', async () => {
    const { info } = world.log
    info(
      `${count(found.length, 'pull request')} of ${repository} on the engine`
    )
    // Loaded only here: no other scope has to wait for it, nor mind what it reads of its environment.
    const { askGitHub } = await import(
      /* webpackMode: "eager" */ './github/pullRequests.ts'
    )
    const { states, problems } = await withSignsOfLife(
      askGitHub(found, {
        ...github,
        ...{ repository, deadline, signal: world.signal, info }
      }),
      (elapsed) => {
        info(`… ${formatDuration(elapsed)}: GitHub is still asked`)
      }
    )
    for (const line of stateLines(states)) info(line)
    return {
      policy: { ...policy, scope: { ...scope, numbers: states } },
      problems
    }
  })
}

async function decide(
  { docker, world }: Step,
  policy: Policy,
  { inventory: listed, facts, context }: Looked
): Promise<{ plan: Plan; sizes: Sizes; inventory: Inventory }> {
  const { plan: unmeasured, inventory: certain } = await planForCertain(
    docker,
    listed,
    policy
  )
  const { sizes, packed } = await measure(docker, certain, unmeasured, {
    facts,
    endpoint: context.endpoint
  })
  const images = withPacked(certain.images, packed)
  const inventory = { ...certain, images }
  const plan = measurePlan(unmeasured, inventory, sizes)
  for (const line of planLines(plan)) world.log.info(line)
  if (sizes.logs.unread) world.log.info(logsNote)
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
export async function measure(
  docker: Docker,
  inventory: Inventory,
  plan: Plan,
  { facts, endpoint }: Pick<Looked, 'facts'> & Pick<Context, 'endpoint'>
): Promise<{ sizes: Sizes; packed: ReadonlyMap<string, number> }> {
  const going = (kind: Kind) =>
    plannedItems(plan)
      .filter((item) => item.kind === kind && item.decision.action === 'remove')
      .map(({ id }) => id)
  const builders = findBuilders(inventory)
  const withBuilders = going('builder').length > 0
  const ofBuilders = builders.flatMap(({ container = [] }) => container)
  const containers = [
    ...going('container'),
    // Those that stay as well: what they hold is worth knowing.
    ...(withBuilders ? ofBuilders.map(({ id }) => id) : [])
  ]
  const known = new Map(
    inventory.images.flatMap(({ id }) => {
      const sizes = facts.get(id)?.layerSizes
      return sizes ? [[id, sizes] as const] : []
    })
  )
  const removed = going('image')
  const { records } = inventory.buildCache
  const asked = new Set([
    ...imagesToMeasure(inventory.images, removed, known),
    ...imagesToSplit(inventory.images, removed, records)
  ])
  const images = inventory.images.filter(({ id }) => asked.has(id))
  const [ofContainers, ofVolumes, ofImages] = await Promise.all([
    orNothing(measureContainers(docker, containers)),
    withBuilders || going('volume').length > 0
      ? measureVolumes(docker)
      : undefined,
    orNothing(measureLayers(docker, inventory.engine, images))
  ])
  const written = ofContainers ?? new Map<string, Written>()
  const logs = await measureLogs(inventory.engine, endpoint, written)
  const figures = {
    containers: withLogs(written, logs),
    logs,
    volumes: ofVolumes ?? new Map<string, number>(),
    layers: new Map([...known, ...(ofImages?.layers ?? [])])
  }
  return {
    sizes: { ...figures, builders: sizesOfBuilders(builders, figures) },
    packed: ofImages?.packed ?? new Map<string, number>()
  }
}

function withLogs(
  written: ReadonlyMap<string, Written>,
  logs: LogSizes
): Map<string, number> {
  return new Map(
    [...written].map(([id, { bytes }]) => [
      id,
      bytes + (logs.bytes.get(id) ?? 0)
    ])
  )
}

const signOfLife = 5_000

/** Calls back every few seconds until the work is done. */
async function withSignsOfLife<T>(
  work: Promise<T>,
  tell: (elapsed: number) => void
): Promise<T> {
  // Not by the time of day, which may be set meanwhile.
  const start = performance.now()
  const timer = setInterval(() => {
    const seconds = Math.round((performance.now() - start) / 1_000)
    tell(seconds * 1_000)
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
  { engine, inventory, context, lookedAt, listedAt, watch }: Looked
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
      listedAt,
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

function warnEarly(
  { items, unmatched }: Plan,
  { withoutVolumes }: Inventory,
  dryRun: boolean
): string[] {
  return [
    ...(withoutVolumes
      ? [
          `The volumes are not in this report: docker volume ls took longer than ${formatDuration(unneededVolumes)} (is a volume plugin not answering?). None would have been removed: include-volumes is false.`
        ]
      : []),
    ...unmatched
      // A default is there for whoever wants to use it, and most do not.
      .filter(
        ({ input, pattern }) => !defaults[input].split(', ').includes(pattern)
      )
      .map(({ input, pattern, nearest }) => {
        const hint =
          nearest === undefined
            ? 'Is it a typo?'
            : `Did you mean ${nearest}, which ${dryRun ? 'would' : 'is about to'} be removed?`
        return `${input}: nothing on this engine matches ${pattern}. ${hint}`
      }),
    ...items
      .filter(({ decision }) => decision.reason === 'unreadable')
      .map(
        ({ kind, name, decision }) =>
          `${kind} ${name} is kept: ${decision.detail}`
      )
  ]
}

function warnLate({ resources }: Report, texts: InputTexts): string[] {
  const late = resources.filter(({ heldBy }) => heldBy === 'timeout').length
  const cache = resources.find(({ kind }) => kind === 'build-cache')
  return [
    ...(late > 0
      ? [
          `The time was up (timeout: ${texts.timeout}): ${count(late, 'planned removal')} not done.`
        ]
      : []),
    ...(cache?.reason === 'changed'
      ? [`The build cache was left as it is: ${cache.detail}`]
      : [])
  ]
}
