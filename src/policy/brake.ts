import { kindNames, kinds } from '../model/kinds.ts'
import { isStopped, type PlanItem } from '../model/plan.ts'
import type { Policy } from '../model/policy.ts'
import { count } from '../words.ts'

/**
 * The kinds of which a plan changes more than `max-removals` allows, in words (`412 of 500 images`); undefined if none.
 * The build cache is one resource, of which the builder picks the records.
 */
export function findExcess(
  items: readonly PlanItem[],
  { maxRemovals }: Pick<Policy, 'maxRemovals'>
): string | undefined {
  if (maxRemovals === undefined) return undefined
  const excess = kindNames.flatMap((kind) => {
    const all = items.filter((item) => item.kind === kind)
    const changed = all.filter(
      (item) => item.decision.action !== 'keep' || isStopped(item)
    )
    const most =
      'count' in maxRemovals
        ? maxRemovals.count
        : Math.ceil((all.length * maxRemovals.percent) / 100)
    return kind === 'build-cache' || changed.length <= most
      ? []
      : [`${changed.length} of ${count(all.length, kinds[kind].noun)}`]
  })
  return excess.length > 0 ? excess.join(', ') : undefined
}
