import type { Message } from '../model/messages.ts'
import type { Removal, Result } from '../model/outcome.ts'
import { itemsToStop, type Plan, plannedItems } from '../model/plan.ts'
import type { Policy } from '../model/policy.ts'
import { findExcess } from '../policy/brake.ts'
import { conclude, warnEarly } from './conclude.ts'
import { rememberAfter } from './memory.ts'
import { planAndMeasure } from './plan.ts'
import { warnOfDisks } from './pressure.ts'
import { removePlanned } from './remove.ts'
import type { Ending, Looked, Step } from './world.ts'

/** Plans, removes and reports. `problems` are warnings about the policy. */
export async function cleanUp(
  step: Step,
  looked: Looked,
  policy: Policy,
  problems: readonly Message[] = []
): Promise<Ending> {
  const { options, world } = step
  const planned = await world.log.group('Plan', () =>
    planAndMeasure(step, policy, looked)
  )
  const { plan, inventory } = planned
  // Before the removal, while a reader can still cancel.
  const early = [
    ...problems,
    ...warnEarly(plan, inventory, options.dryRun),
    ...(looked.closed ? [] : warnOfDisks(plan, looked.disks, policy))
  ]
  for (const warning of early) world.log.warning(warning)
  const excess = looked.closed ? undefined : findExcess(plan.items, policy)
  const remove = () =>
    excess === undefined
      ? removePlanned(step, policy, plan, { ...looked, inventory })
      : Promise.resolve(holdBack(plan))
  const removal = options.dryRun
    ? undefined
    : await world.log.group('Remove', remove)
  if (options.stateDir !== '')
    await rememberAfter(options.stateDir, looked, planned, removal)
  return conclude(step, looked, planned, removal, early, excess)
}

/** The results of a plan that exceeds `max-removals`. */
export function holdBack(plan: Plan): Removal {
  const results = [...itemsToStop(plan), ...plannedItems(plan)].map(
    (item): Result => ({
      item,
      ...{ outcome: 'kept', reason: 'budget', heldBy: 'max-removals' },
      detail: `held by max-removals; ${item.decision.detail}`
    })
  )
  return { results, fatal: undefined, cacheAfter: undefined }
}
