import type { InputTexts } from '../model/inputs.ts'
import type { Result } from '../model/outcome.ts'
import { type Plan, type PlanItem, plannedItems } from '../model/plan.ts'
import {
  describeScope,
  type EngineContents,
  type Policy,
  type PullRequestState
} from '../model/policy.ts'
import { formatDuration, formatSize, sum } from '../units.ts'
import { count, list } from '../words.ts'

export function scopeLines(
  { scope, ignored }: Policy,
  texts: InputTexts
): string[] {
  if (scope.kind === 'engine') return []
  const off = ignored.map((name) => `${name}: ${texts[name]}`)
  return [
    `Scope: ${describeScope(scope)}`,
    ...(off.length > 0
      ? [
          `Off in this scope: ${off.join(', ')} (the default counts as not given)`
        ]
      : [])
  ]
}

export function describeContents({
  containers,
  images,
  networks,
  volumes
}: EngineContents): string {
  return [
    count(containers.size, 'container'),
    count(images.size, 'image'),
    count(networks.size, 'network'),
    count(volumes.size, 'volume')
  ].join(', ')
}

export function stateLines(
  states: ReadonlyMap<number, PullRequestState>
): string[] {
  const byState = Map.groupBy(states.keys(), (number) => states.get(number))
  return [...byState].map(
    ([state, numbers]) => `${state}: ${list(numbers.map(String), 20)}`
  )
}

/** A line for each resource that is to go, and one for each reason why others stay. */
export function planLines(plan: Plan): string[] {
  const going = plannedItems(plan)
  const kept = plan.items.filter(({ decision }) => decision.action === 'keep')
  const reasons = Map.groupBy(
    kept,
    ({ kind, decision }) => `${kind}: ${decision.reason}`
  )
  return [
    ...going.map(
      (item) =>
        `${item.decision.action} ${describeItem(item)}${describeBytes(item)}`
    ),
    ...(going.length === 0 ? ['nothing is to go'] : []),
    ...[...reasons].map(([reason, items]) => `keep ${items.length} × ${reason}`)
  ]
}

export function resultLine({
  item,
  outcome,
  reason,
  detail,
  freed
}: Result): string {
  const done = outcome === 'removed'
  const bytes = freed ?? item.bytes
  const size = done && bytes !== undefined ? `, ${formatSize(bytes)}` : ''
  const why =
    detail === undefined ? '' : `: ${reason ? `${reason}, ` : ''}${detail}`
  return `${outcome} ${describeItem(item)}${size}${why}`
}

/** Progress of the removal, with bytes as planned: those really freed are counted at the end. */
export function progressLine(
  results: readonly Result[],
  planned: number,
  elapsed: number
): string {
  const removed = results.filter(({ outcome }) => outcome === 'removed')
  const bytes = sum(removed.map(({ item, freed }) => freed ?? item.bytes ?? 0))
  return (
    `… ${formatDuration(elapsed)}: ${count(results.length, 'resource')} done, ` +
    `${planned - results.length} left, ${formatSize(bytes)} so far`
  )
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
