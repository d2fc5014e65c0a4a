import { podmanNote } from '../docker/podman.ts'
import { readSpace } from '../host/disk.ts'
import { logsNote } from '../host/logs.ts'
import type { Disk } from '../model/disks.ts'
import { defaults, type InputTexts } from '../model/inputs.ts'
import type { Inventory } from '../model/inventory.ts'
import type { Removal } from '../model/outcome.ts'
import type { Plan } from '../model/plan.ts'
import { headline } from '../report/headline.ts'
import { makeOutputs } from '../report/outputs.ts'
import { heldBytes } from '../report/ownBytes.ts'
import { makeReport } from '../report/report.ts'
import type { Report } from '../report/schema.ts'
import { renderSummary } from '../report/summary.ts'
import { formatDuration } from '../units.ts'
import { count } from '../words.ts'
import { unneededVolumes } from './look.ts'
import type { Planned } from './plan.ts'
import type { Ending, Looked, Step } from './world.ts'

/** Measures the disks again, and makes the report, the summary and the outputs. `early` are warnings already given. */
export async function conclude(
  { options, texts, startedAt, world }: Step,
  { engine, disks: before }: Looked,
  { plan, sizes, inventory }: Planned,
  removal: Removal | undefined,
  early: readonly string[]
): Promise<Ending> {
  const disks = await Promise.all(before.map(measureAgain))
  const finishedAt = new Date()
  const report = makeReport({
    host: options.hostName,
    action: { version: world.version },
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

/** Why the step fails although there is a report; undefined if it does not. */
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

/** Warnings before the removal: what was not listed, matches nothing, or cannot be inspected. */
export function warnEarly(
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
      // Most people do not use the defaults.
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
