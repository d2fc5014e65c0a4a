import type { Inventory } from '../model/inventory.ts'
import { splitAt } from '../model/references.ts'
import type { PlanItem, Unmatched } from '../model/plan.ts'
import { patternOf, type Rule } from '../model/rules.ts'
import type { Context } from './context.ts'
import { findNearest, formsOf } from './nearest.ts'

/** Similar names are looked for so often at most: fleets share rules of which one host has little. */
const mostHints = 20

/** Finds the rules that decide nothing: they match nothing, or earlier rules decide all that they match. */
export function findUnmatchedRules(
  inventory: Inventory,
  items: readonly PlanItem[],
  { policy, rules }: Context
): Unmatched[] {
  const deciding = new Set(
    items.flatMap(({ ruled }) => [...(ruled?.values() ?? [])])
  )
  const isOff = ({ keep }: Rule) => !keep && policy.scope.kind !== 'engine'
  const going = new Set(
    items
      .filter(({ decision }) => decision.action !== 'keep')
      .map(({ id }) => id)
  )
  const idle = policy.rules.filter(
    (rule) => !deciding.has(rule.line) && !isOff(rule)
  )
  if (idle.length === 0) return []
  const firstLines = rules.firstLines(inventory)
  return idle.map((rule, index) => {
    const pattern = `line ${rule.line} (${patternOf(rule)})`
    const lines = firstLines.get(rule)
    if (lines !== undefined)
      return {
        ...{ input: 'rules', pattern },
        decidedBy: [...lines].sort((a, b) => a - b)
      }
    const nearest =
      index < mostHints ? findNearestName(rule, inventory, going) : undefined
    return { input: 'rules', pattern, ...(nearest && { nearest }) }
  })
}

function findNearestName(
  { kind, pattern }: Rule,
  inventory: Inventory,
  going: ReadonlySet<string>
): Unmatched['nearest'] {
  const names = namesOfKind(kind, pattern, inventory)
  const name = findNearest(
    pattern,
    [...names.keys()],
    kind === 'image' ? formsOf(pattern) : undefined
  )
  return name === undefined
    ? undefined
    : { name, goes: going.has(names.get(name) ?? '') }
}

/** The IDs of all resources of a kind of rule, by their names. */
function namesOfKind(
  kind: Rule['kind'],
  pattern: string,
  { containers, images, networks, volumes }: Inventory
): Map<string, string> {
  const ofVolumes = volumes.map((one) => ({ ...one, id: one.name }))
  const named = { container: containers, network: networks, volume: ofVolumes }
  if (kind === 'image')
    return new Map(
      images.flatMap(({ id, references }) =>
        references.map((reference) => [reference, id] as const)
      )
    )
  if (kind !== 'label')
    return new Map(named[kind].map(({ id, name }) => [name, id]))
  const hasValue = splitAt(pattern, pattern.indexOf('=')).length > 1
  return new Map(
    [...containers, ...images, ...networks, ...ofVolumes].flatMap(
      ({ id, labels }) =>
        Object.entries(labels).map(
          ([key, value]) => [hasValue ? `${key}=${value}` : key, id] as const
        )
    )
  )
}
