/** Made-up runs on made-up engines, with the product's own decisions and words. */
import { now } from '../../__tests__/builders.ts'
import { logsNote } from '../../src/host/logs.ts'
import { readInputs } from '../../src/inputs/read.ts'
import { diskContents, onImageStore, onRootDir } from '../../src/model/disks.ts'
import type { InputName } from '../../src/model/inputs.ts'
import type { Inventory } from '../../src/model/inventory.ts'
import type { Outcome, Removal } from '../../src/model/outcome.ts'
import {
  itemsToStop,
  type Plan,
  type PlanItem,
  plannedItems
} from '../../src/model/plan.ts'
import { findExcess } from '../../src/policy/brake.ts'
import { measurePlan } from '../../src/policy/measure.ts'
import { makePlan } from '../../src/policy/plan.ts'
import { orderUnderPressure } from '../../src/policy/pressure.ts'
import { createSession, finish, record } from '../../src/removal/session.ts'
import { noStream } from '../../src/removal/stream.ts'
import { headline } from '../../src/report/headline.ts'
import {
  describeEngine,
  endLine,
  planLines,
  progressLine,
  resultLine,
  scopeLines
} from '../../src/report/log.ts'
import { heldByInput, heldBytes } from '../../src/report/ownBytes.ts'
import { ruleLines } from '../../src/report/rules.ts'
import type { Report } from '../../src/report/schema.ts'
import type { SummaryFacts } from '../../src/report/summary.ts'
import { holdBack } from '../../src/run/cleanUp.ts'
import { conclude, warnEarly } from '../../src/run/conclude.ts'
import { describePressure, warnOfTarget } from '../../src/run/pressure.ts'
import type { Looked, Step } from '../../src/run/world.ts'
import type { Engine } from './inventories.ts'

export type Run = Engine & {
  /** As a workflow gives them. */
  inputs?: Partial<Record<InputName, string>>
  seconds?: number
  /** Outcomes of removals that do not succeed, or are not reached. */
  outcomeOf?: (
    item: PlanItem,
    index: number
  ) => Outcome | 'not reached' | undefined
  cancelled?: boolean
  /** The size of the engine's disk; `split`: images are on another one. */
  disk?: { bytes: number; split?: boolean }
}

/** Makes a run's log, and the facts of its summary. */
export async function makeRun(
  run: Run
): Promise<{ log: string[]; facts: SummaryFacts }> {
  const { inventory, sizes, seconds = 21, disk } = run
  const log: string[] = []
  const warnings: string[] = []
  const step = makeStep(run, (warning) => {
    warnings.push(warning)
    log.push(`Warning: ${warning}`)
  })
  const { policy, options, texts } = step
  const made = makePlan(inventory, policy)
  const ordered = policy.untilFreeAbove
    ? orderUnderPressure(made, inventory)
    : made
  const plan = measurePlan(ordered, inventory, sizes)
  log.push(
    ...scopeLines(policy, texts),
    ...['Look', `  ${describeEngine(inventory)}`],
    'Plan',
    ...[...planLines(plan), ...ruleLines(policy.rules, plan.items)].map(
      (line) => `  ${line}`
    )
  )
  if (policy.untilFreeAbove) log.push(`  ${endLine(texts)}`)
  const early = warnEarly(plan, inventory, options.dryRun)
  for (const warning of early) step.world.log.warning(warning)
  const excess = findExcess(plan.items, policy)
  const remove = () =>
    excess === undefined ? makeRemoval(run, plan, step) : holdBack(plan)
  const removal = options.dryRun ? undefined : remove()
  if (removal !== undefined && excess === undefined)
    log.push('Remove', ...linesOf(removal).map((line) => `  ${line}`))
  const planned = { plan, sizes, inventory }
  const looked = makeLooked(inventory)
  const ending = await conclude(step, looked, planned, removal, early, excess)
  if (ending.report === undefined) throw new Error('there is no report')
  const report = withPressure(withDisks(ending.report, disk), step)
  for (const warning of warnOfTarget(report, policy, texts, inventory))
    step.world.log.warning(warning)
  report.finishedAt = new Date(now + seconds * 1_000).toISOString()
  log.push(headline(report))
  if (ending.failure !== undefined) log.push(`Error: ${ending.failure}`)
  return {
    log,
    facts: {
      report,
      inputs: texts,
      held: heldBytes(inventory, report.resources),
      heldByInput: heldByInput(inventory, report.resources),
      warnings,
      notes: sizes.logs.unread ? [logsNote] : [],
      podman: undefined,
      error: ending.failure
    }
  }
}

function makeStep(
  { inputs = {}, cancelled = false }: Run,
  onWarning: (warning: string) => void
): Step {
  const all = { 'host-name': 'runner-1', ...inputs }
  const getInput = (name: string) =>
    Object.entries(all).find(([key]) => key === name)?.[1]
  const signal = cancelled ? AbortSignal.abort() : new AbortController().signal
  return {
    ...readInputs(getInput, { now, env: {} }),
    docker: () => Promise.reject(new Error('there is no engine')),
    running: new Set(),
    startedAt: new Date(now),
    deadline: now,
    world: {
      ...{ version: '1.0.0', getInput, env: {}, signal },
      log: {
        info: () => undefined,
        warning: ({ text }) => {
          onWarning(text)
        },
        group: (_, body) => body()
      },
      show: () => undefined,
      saveState: undefined,
      snapshotFile: undefined
    },
    leave: signal
  }
}

function makeLooked(inventory: Inventory): Looked {
  return {
    engine: inventory.engine,
    key: { endpoint: '', rootDir: '', store: '' },
    facts: new Map(),
    inventory,
    context: { name: 'default', endpoint: '' },
    disks: [],
    closed: false,
    ...{ lookedAt: now, listedAt: now },
    stream: noStream
  }
}

function makeRemoval(
  { inventory, outcomeOf = () => undefined }: Run,
  plan: Plan,
  { docker, deadline, world }: Step
): Removal {
  const session = createSession({
    ...{ docker, inventory, deadline, signal: world.signal },
    stream: noStream,
    concurrency: 1,
    onResult: () => undefined,
    onFallback: () => undefined
  })
  const items = [...itemsToStop(plan), ...plannedItems(plan)]
  for (const [index, item] of items.entries()) {
    const outcome = outcomeOf(item, index) ?? success(item)
    if (outcome !== 'not reached') record(session, item, outcome)
  }
  const cacheAfter = inventory.buildCache.records
  return { ...finish(session, items), cacheAfter }
}

function success({ decision, kind, bytes = 0 }: PlanItem): Outcome {
  if (decision.action === 'keep')
    return {
      ...{ outcome: 'kept', stopped: true },
      detail: `stopped; was ${decision.detail}`
    }
  if (decision.action === 'untag')
    return {
      outcome: 'untagged',
      removedReferences: decision.removedReferences
    }
  return {
    outcome: 'removed',
    ...(kind === 'build-cache' && { freed: bytes })
  }
}

/** The log of a removal, with its progress halfway. */
function linesOf({ results }: Removal): string[] {
  const half = results.slice(0, results.length / 2)
  return results
    .filter(({ reason }) => reason !== 'target-reached')
    .map(resultLine)
    .toSpliced(half.length, 0, progressLine(half, results.length, 5_000))
}

/** Adds disks that were 91 % full before the run. */
function withDisks(report: Report, disk: Run['disk']): Report {
  if (disk === undefined) return report
  const freed = report.totals.reclaimedBytes
  const spaceWith = (more: number) => ({
    freeBytes: disk.bytes * 0.09 + more,
    usedBytes: disk.bytes * 0.91 - more,
    freeInodes: 1_180_211 + Math.round(more / 20_000),
    totalInodes: 3_932_160
  })
  const space = { before: spaceWith(0), after: spaceWith(freed) }
  const path = '/var/lib/docker'
  return {
    ...report,
    disks: disk.split
      ? [
          { ...space, path, holds: [...onRootDir] },
          { ...space, path: '/var/lib/containerd', holds: [...onImageStore] }
        ]
      : [{ ...space, path, holds: [...diskContents] }]
  }
}

function withPressure(report: Report, { policy, texts }: Step): Report {
  const { disks } = report
  const pressure = describePressure(policy, texts, disks, false)
  return { ...report, ...(pressure && { pressure }) }
}
