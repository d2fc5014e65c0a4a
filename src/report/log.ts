import type { InputTexts } from '../model/inputs.ts'
import type { Inventory } from '../model/inventory.ts'
import { kinds } from '../model/kinds.ts'
import type { Result } from '../model/outcome.ts'
import {
  itemsToStop,
  type Plan,
  type PlanItem,
  plannedItems
} from '../model/plan.ts'
import {
  describeScope,
  type EngineContents,
  type Policy,
  type PullRequestState
} from '../model/policy.ts'
import { formatDuration, formatSize, sum } from '../units.ts'
import { count, list } from '../words.ts'

export function scopeLines(
  { scope, ignored, rules }: Policy,
  texts: InputTexts
): string[] {
  if (scope.kind === 'engine') return []
  const off = ignored.map((name) => `${name}: ${texts[name]}`).join(', ')
  return [
    `Scope: ${describeScope(scope)}`,
    ...(off === ''
      ? []
      : [`Ignored in this scope: ${off} (still at the default)`]),
    ...(rules.some(({ keep }) => !keep)
      ? ['Ignored in this scope: rules other than keep']
      : [])
  ]
}

export function describeEngine(inventory: Inventory): string {
  const { engine, containers, images, networks, volumes } = inventory
  const { kind, name, version, store } = engine
  const held = listCounts({
    container: containers.length,
    image: images.length,
    network: networks.length,
    volume: volumes.length
  })
  return `Engine ${name}, ${kind === 'podman' ? 'Podman' : 'Docker'} ${version}, image store ${store}: ${held}`
}

export function describeContents({
  containers,
  images,
  networks,
  volumes
}: EngineContents): string {
  return listCounts({
    container: containers.size,
    image: images.size,
    network: networks.size,
    volume: volumes.size
  })
}

function listCounts(numbers: Record<string, number>): string {
  return Object.entries(numbers)
    .map(([noun, number]) => count(number, noun))
    .join(', ')
}

export function stateLines(
  states: ReadonlyMap<number, PullRequestState>
): string[] {
  const byState = Map.groupBy(states.keys(), (number) => states.get(number))
  return [...byState].map(
    ([state, numbers]) => `${state}: ${list(numbers.map(String), 20)}`
  )
}

/** A line for each planned removal, and one for each reason to keep the others. */
export function planLines(plan: Plan): string[] {
  const planned = plannedItems(plan)
  const kept = plan.items.filter(({ decision }) => decision.action === 'keep')
  const groups = Map.groupBy(kept, ({ kind, decision }) =>
    JSON.stringify([kind, decision.reason])
  )
  return [
    ...planned.map(
      (item) =>
        `${item.decision.action} ${describeItem(item)}${describeBytes(item)}`
    ),
    ...itemsToStop(plan).map(
      ({ kind, name, decision }) => `stop ${kind} ${name} (${decision.detail})`
    ),
    ...(planned.length === 0 ? ['nothing to remove'] : []),
    ...[...groups.values()].map(describeKept)
  ]
}

function describeKept(items: readonly PlanItem[]): string {
  const [first] = items
  if (first === undefined) return ''
  const { noun } = kinds[first.kind]
  const what = first.kind === 'build-cache' ? noun : count(items.length, noun)
  return `keep ${what}: ${first.decision.reason}`
}

export function resultLine({
  item,
  outcome,
  reason,
  detail,
  stopped,
  freed
}: Result): string {
  const action = item.decision.action === 'keep' ? 'stop' : item.decision.action
  if (stopped)
    return `stopped ${item.kind} ${item.name} (${item.decision.detail})`
  const words = {
    ...{ removed: 'removed', untagged: 'untagged', kept: 'kept' },
    gone: 'already gone:',
    failed: `failed to ${action}`
  }
  const bytes = outcome === 'removed' ? (freed ?? item.bytes) : undefined
  const size = bytes === undefined ? '' : `, ${formatSize(bytes)}`
  const why =
    detail === undefined ? '' : `: ${reason ? `${reason}, ` : ''}${detail}`
  return `${words[outcome]} ${describeItem(item)}${size}${why}`
}

/** Progress of the removal, with bytes as planned: those really freed are counted at the end. */
export function progressLine(
  results: readonly Result[],
  planned: number,
  elapsed: number
): string {
  const removed = results.filter(({ outcome }) => outcome === 'removed')
  const bytes = sum(removed.map(({ item, freed }) => freed ?? item.bytes ?? 0))
  return `… ${formatDuration(elapsed)}: ${results.length} of ${count(planned, 'removal')} done, ${formatSize(bytes)} freed`
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
  const what =
    kind === 'build-cache' ? kinds[kind].noun : `${kind} ${names.join(', ')}`
  return `${what} (${decision.reason}: ${decision.detail})`
}

function describeBytes({ decision, bytes, bytesAtMost = 0 }: PlanItem): string {
  if (decision.action !== 'remove' || bytes === undefined) return ''
  const most = bytesAtMost > bytes ? `, up to ${formatSize(bytesAtMost)}` : ''
  return `, ${formatSize(bytes)}${most}`
}

/** When a removal under disk pressure ends, and what goes first. */
export function endLine(inputs: InputTexts): string {
  return `The removal stops once until-free-above: ${inputs['until-free-above']} is reached. Order: containers and networks, untagged images, build cache, builders, images (longest idle first), volumes.`
}
