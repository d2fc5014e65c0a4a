import { podmanNote } from '../docker/podman.ts'
import { logsNote } from '../host/logs.ts'
import { headline } from '../report/headline.ts'
import { makeOutputs } from '../report/outputs.ts'
import { heldBytes } from '../report/ownBytes.ts'
import { makeReport } from '../report/report.ts'
import { renderSummary } from '../report/summary.ts'
import {
  describeFailure,
  measureAgain,
  warnEarly,
  warnLate
} from './conclude.ts'
import { factsOf, forget } from './memory.ts'
import { planAndMeasure } from './plan.ts'
import { removePlanned } from './remove.ts'
import type { Looked, Ending, Limited, Step } from './world.ts'
import { writeFacts } from '../state/imageFacts.ts'

/** Plans, acts and reports. */
export async function cleanUp(
  step: Step,
  looked: Looked,
  { policy, problems }: Limited
): Promise<Ending> {
  const { options, texts, startedAt, world } = step
  const { plan, sizes, inventory } = await world.log.group('Plan', () =>
    planAndMeasure(step, policy, looked)
  )
  const early = [...problems, ...warnEarly(plan, inventory, options.dryRun)]
  // Before anything is removed: whoever sees it in time can still cancel.
  for (const warning of early) world.log.warning(warning)
  const removal = options.dryRun
    ? undefined
    : await world.log.group('Remove', () =>
        removePlanned(step, plan, { ...looked, inventory })
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
