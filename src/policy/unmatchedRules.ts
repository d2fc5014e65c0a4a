import type { Inventory, Labels } from '../model/inventory.ts'
import type { PlanItem, Unmatched } from '../model/plan.ts'
import { patternOf, type Rule } from '../model/rules.ts'
import type { Context } from './context.ts'
import { memoised } from './memoised.ts'
import { findNearest, formsOf, mostCandidates } from './nearest.ts'

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
  const namesOf = memoised((form: Form) => namesOfForm(form, inventory))
  return idle.map((rule, index) => {
    const pattern = `line ${rule.line} (${patternOf(rule)})`
    const lines = firstLines.get(rule)
    if (lines !== undefined)
      return {
        ...{ input: 'rules', pattern },
        decidedBy: [...lines].sort((a, b) => a - b)
      }
    const nearest =
      index < mostHints
        ? findNearestName(rule, namesOf(formOf(rule)), going)
        : undefined
    return { input: 'rules', pattern, ...(nearest && { nearest }) }
  })
}

/** What a pattern is compared with; `label=` means whole labels, and `label` only their keys. */
type Form = Rule['kind'] | 'label='

function formOf({ kind, pattern }: Rule): Form {
  return kind === 'label' && pattern.includes('=') ? 'label=' : kind
}

function findNearestName(
  { kind, pattern }: Rule,
  names: ReadonlyMap<string, string>,
  going: ReadonlySet<string>
): Unmatched['nearest'] {
  const name = findNearest(
    pattern,
    [...names.keys()],
    kind === 'image' ? formsOf(pattern) : undefined
  )
  return name === undefined
    ? undefined
    : { name, goes: going.has(names.get(name) ?? '') }
}

/** The names that can be compared with a pattern, each with the ID of its resource; no more than are compared. */
function namesOfForm(form: Form, inventory: Inventory): Map<string, string> {
  const found = new Map<string, string>()
  for (const [id, names] of allNames(form, inventory)) {
    for (const name of names) found.set(name, id)
    if (found.size >= mostCandidates) break
  }
  return found
}

function* allNames(
  form: Form,
  { containers, images, networks, volumes }: Inventory
): Generator<readonly [id: string, names: readonly string[]]> {
  const ofVolumes = volumes.map((one) => ({ ...one, id: one.name }))
  const named = { container: containers, network: networks, volume: ofVolumes }
  if (form === 'image')
    for (const { id, references } of images) yield [id, references]
  else if (form === 'label' || form === 'label=')
    for (const all of [containers, images, networks, ofVolumes])
      for (const { id, labels } of all) yield [id, labelNames(labels, form)]
  else for (const { id, name } of named[form]) yield [id, [name]]
}

function labelNames(labels: Labels, form: 'label' | 'label='): string[] {
  return form === 'label'
    ? Object.keys(labels)
    : Object.entries(labels).map(([key, value]) => `${key}=${value}`)
}
