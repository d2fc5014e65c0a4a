import type { Result } from '../docker/removal.ts'
import type { Plan, PlanItem } from '../policy/plan.ts'
import { formatDuration, formatSize } from '../units.ts'
import { count } from './text.ts'

/** The plan for the log: a line for each resource that is to go, and one for each reason why others stay. */
export function planLines({ items }: Plan): string[] {
  const going = items.filter(({ decision }) => decision.action !== 'keep')
  const reasons = new Map<string, number>()
  for (const { kind, decision } of items) {
    if (decision.action !== 'keep') continue
    const key = `${kind}: ${decision.reason}`
    reasons.set(key, (reasons.get(key) ?? 0) + 1)
  }
  return [
    ...going.map(
      (item) =>
        `${item.decision.action} ${describeItem(item)}${describeBytes(item)}`
    ),
    ...(going.length === 0 ? ['nothing is to go'] : []),
    ...[...reasons].map(([reason, number]) => `keep ${number} × ${reason}`)
  ]
}

function describeItem({
  kind,
  name,
  references = [],
  decision
}: PlanItem): string {
  const names =
    decision.action === 'untag'
      ? decision.removedReferences
      : references.length > 0
        ? references
        : [name]
  return `${kind} ${names.join(', ')} (${decision.reason}: ${decision.detail})`
}

function describeBytes({ decision, bytes, bytesAtMost = 0 }: PlanItem): string {
  if (decision.action !== 'remove' || bytes === undefined) return ''
  const most = bytesAtMost > bytes ? `, up to ${formatSize(bytesAtMost)}` : ''
  return `, ${formatSize(bytes)}${most}`
}

/** What became of one planned item, for the log. */
export function resultLine(result: Result): string {
  const { item, outcome, reason, detail, freed } = result
  const why =
    detail === undefined ? '' : `: ${reason ? `${reason}, ` : ''}${detail}`
  const size = freed === undefined ? '' : `, ${formatSize(freed)}`
  const bytes = outcome === 'removed' ? size || describeBytes(item) : ''
  return `${outcome} ${describeItem(item)}${bytes}${why}`
}

/** A sign of life during long work. Bytes as planned: what was really freed is counted at the end. */
export function progressLine(
  results: readonly Result[],
  planned: number,
  elapsed: number
): string {
  const bytes = results
    .filter(({ outcome }) => outcome === 'removed')
    .reduce((sum, { item, freed }) => sum + (freed ?? item.bytes ?? 0), 0)
  return (
    `… ${formatDuration(elapsed)}: ${count(results.length, 'resource')} done, ` +
    `${planned - results.length} left, ${formatSize(bytes)} so far`
  )
}
