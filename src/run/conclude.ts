import { makeEngine } from '../docker/engine.ts'
import { podmanNote } from '../docker/podman.ts'
import { readSpace } from '../host/disk.ts'
import { logsNote } from '../host/logs.ts'
import type { Disk } from '../model/disks.ts'
import { defaults, type InputTexts } from '../model/inputs.ts'
import { emptyInventory, type Inventory } from '../model/inventory.ts'
import { type Message, messages } from '../model/messages.ts'
import type { Removal } from '../model/outcome.ts'
import type { Plan, Unmatched } from '../model/plan.ts'
import type { Policy } from '../model/policy.ts'
import { headline } from '../report/headline.ts'
import { makeOutputs } from '../report/outputs.ts'
import { heldByInput, heldBytes } from '../report/ownBytes.ts'
import { makeReport } from '../report/report.ts'
import type { Report } from '../report/schema.ts'
import { renderSummary } from '../report/summary.ts'
import { formatDuration } from '../units.ts'
import { count, list } from '../words.ts'
import { unneededVolumes } from './look.ts'
import type { Gate } from './gate.ts'
import type { Planned } from './plan.ts'
import { describePressure, warnOfTarget } from './pressure.ts'
import type { Ending, Looked, Step } from './world.ts'

/**
 * Measures the disks again, and makes the report, the summary and the outputs. `early` are warnings already given;
 * `excess` is how the plan exceeds `max-removals`, if it does.
 */
export async function conclude(
  { options, texts, policy, startedAt, world }: Step,
  {
    engine,
    disks: before,
    closed
  }: Pick<Looked, 'engine' | 'disks' | 'closed'>,
  { plan, sizes, inventory }: Planned,
  removal: Removal | undefined,
  early: readonly Message[],
  excess?: string
): Promise<Ending> {
  const disks = await Promise.all(before.map(measureAgain))
  const finishedAt = new Date()
  const report = makeReport({
    host: options.hostName,
    action: { version: world.version },
    ...{ engine, inventory, plan, sizes, removal },
    ...{ disks, startedAt, finishedAt, rules: policy.rules },
    pressure: describePressure(policy, texts, disks, closed)
  })
  const failure =
    excess === undefined
      ? describeFailure(report, removal, world.signal)
      : messages.tooManyRemovals(excess, texts['max-removals']).text
  const late = warnLate(report, policy, texts, inventory)
  for (const warning of late) world.log.warning(warning)
  return {
    report,
    reportFile: options.reportFile,
    outputs: makeOutputs(report, options.reportFile),
    summary: renderSummary({
      ...{
        report,
        inputs: texts,
        heldByInput: heldByInput(inventory, report.resources)
      },
      held: heldBytes(inventory, report.resources),
      warnings: [...early, ...late].map(({ text }) => text),
      notes: sizes.logs.unread ? [logsNote] : [],
      podman: engine.kind === 'podman' ? podmanNote(engine) : undefined,
      error: failure
    }),
    answer: headline(report),
    failure
  }
}

/** Ends a run at a closed gate. */
export function concludeClosed(step: Step, gate: Gate): Promise<Ending> {
  const engine = makeEngine(gate.info, false)
  const nothing = {
    plan: { scope: 'engine', items: [], removalOrder: [], unmatched: [] },
    sizes: {
      ...{ containers: new Map(), volumes: new Map(), builders: new Map() },
      ...{ layers: new Map(), logs: { bytes: new Map(), unread: false } }
    },
    inventory: emptyInventory(engine)
  }
  const removal = { results: [], fatal: undefined, cacheAfter: undefined }
  return conclude(step, { ...gate, engine }, nothing, removal, [])
}

async function measureAgain(disk: Disk) {
  const after = await readSpace(disk.path)
  return { ...disk, ...(after && { after }) }
}

/** Why the step fails although there is a report; undefined if it does not. */
function describeFailure(
  { resources, totals }: Report,
  removal: Removal | undefined,
  signal: AbortSignal
): string | undefined {
  if (signal.aborted) return messages.cancelledAfterPlan().text
  if (removal?.fatal !== undefined)
    return messages.engineFailed(removal.fatal.message).text
  const first = resources.find(({ outcome }) => outcome === 'failed')
  return (
    first &&
    messages.removalsFailed(
      count(totals.failed, 'planned removal'),
      `${first.kind} ${first.name}: ${first.detail}`
    ).text
  )
}

/** Warnings before the removal: what was not listed, matches nothing, or cannot be inspected. */
export function warnEarly(
  { items, unmatched }: Plan,
  { withoutVolumes }: Inventory,
  dryRun: boolean
): Message[] {
  return [
    ...(withoutVolumes
      ? [messages.volumesNotListed(formatDuration(unneededVolumes))]
      : []),
    ...unmatched
      // Most people do not use the defaults.
      .filter(
        ({ input, pattern }) => !defaults[input].split(', ').includes(pattern)
      )
      .map((one) => warnOfUnmatched(one, dryRun)),
    ...items
      .filter(({ decision }) => decision.reason === 'unreadable')
      .map(({ kind, name, decision }) =>
        messages.resourceUnreadable(`${kind} ${name}`, decision.detail)
      )
  ]
}

function warnOfUnmatched(
  { input, pattern, nearest, decidedBy }: Unmatched,
  dryRun: boolean
): Message {
  if (decidedBy !== undefined) {
    const lines = list(decidedBy.map(String))
    const noun = decidedBy.length === 1 ? 'line' : 'lines'
    return messages.ruleWithoutEffect(pattern, `${noun} ${lines}`)
  }
  const fate = dryRun ? 'would be removed' : 'is about to be removed'
  const hint =
    nearest === undefined
      ? 'Check for a typo.'
      : `Did you mean ${nearest.name}${nearest.goes ? `, which ${fate}` : ''}?`
  return messages.patternUnmatched(input, pattern, hint)
}

function warnLate(
  report: Report,
  policy: Policy,
  texts: InputTexts,
  inventory: Inventory
): Message[] {
  const { resources } = report
  const late = resources.filter(({ heldBy }) => heldBy === 'timeout').length
  const cache = resources.find(({ kind }) => kind === 'build-cache')
  return [
    ...warnOfTarget(report, policy, texts, inventory),
    ...(late > 0
      ? [messages.timeoutReached(texts.timeout, count(late, 'planned removal'))]
      : []),
    ...(cache?.reason === 'changed' ? [messages.cacheKept(cache.detail)] : [])
  ]
}
