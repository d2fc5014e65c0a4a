import type { PlanItem } from '../model/plan.ts'
import { describeRule, patternOf, type Rule } from '../model/rules.ts'
import { formatSize } from '../units.ts'
import { count } from '../words.ts'
import { figure, folded, tableThatFits } from './markdown.ts'
import type { Report, Resource } from './schema.ts'
import { code } from './text.ts'

type RuleFigures = NonNullable<Report['rules']>[number]

/** What became of the resources that each rule decides; `resources` are those of the `items`, in the same order. */
export function countByRule(
  rules: readonly Rule[],
  items: readonly PlanItem[],
  resources: readonly Resource[]
): RuleFigures[] {
  const figures = new Map(
    rules.map(({ line, kind, pattern, settings }) => [
      line,
      {
        ...{ line, kind, pattern, settings },
        ...{ matched: 0, removed: 0, kept: 0, bytes: 0 }
      }
    ])
  )
  for (const [index, { ruled = new Map<string, number>() }] of items.entries())
    for (const line of new Set(ruled.values())) {
      const one = figures.get(line)
      const resource = resources[index]
      if (one === undefined || resource === undefined) continue
      const keys = [...ruled.keys()].filter((key) => ruled.get(key) === line)
      const goes = isTaken(resource, keys)
      one.matched += 1
      one[goes ? 'removed' : 'kept'] += 1
      if (goes && resource.rule === line) one.bytes += resource.bytes ?? 0
    }
  return [...figures.values()]
}

/** Whether it goes, or loses one of these references. */
function isTaken(
  { action, outcome, removedReferences = [] }: Resource,
  references: readonly string[]
): boolean {
  if (['removed', 'gone'].includes(outcome)) return true
  if (outcome === 'planned' && action === 'remove') return true
  return references.some((one) => removedReferences.includes(one))
}

/** Containers, images, networks and volumes that no rule decides. */
export function countWithoutRule(items: readonly PlanItem[]): number {
  return items.filter(
    ({ kind, ruled }) =>
      ruled === undefined && kind !== 'builder' && kind !== 'build-cache'
  ).length
}

/** A line of the log for each rule. */
export function ruleLines(
  rules: readonly Rule[],
  items: readonly PlanItem[]
): string[] {
  const matched = new Map<number, number>()
  for (const { ruled } of items)
    for (const line of new Set(ruled?.values()))
      matched.set(line, (matched.get(line) ?? 0) + 1)
  return rules.map((rule) => {
    const number = matched.get(rule.line)
    const what = number === undefined ? 'nothing' : count(number, 'resource')
    return `${describeRule(rule)}; decides ${what}`
  })
}

const mostListBytes = 100_000

/** Every rule with what it decided. */
export function renderRules({ rules = [], totals, dryRun }: Report): string {
  if (rules.length === 0) return ''
  const rows = rules.map(({ line, matched, removed, kept, bytes, ...rule }) => [
    line,
    code(`${patternOf(rule)} ${rule.settings}`),
    ...[matched, removed, kept, figure(formatSize(bytes))]
  ])
  const others = [
    '',
    'no rule: the other inputs decide',
    totals.withoutRule ?? 0
  ]
  const list = tableThatFits(
    [
      ...['line:', 'rule', 'decides:'],
      ...(dryRun
        ? ['would go:', 'would stay:', 'would free:']
        : ['went:', 'stayed:', 'freed:'])
    ],
    [...rows, [...others, '', '', '']],
    mostListBytes
  )
  return dryRun
    ? `### Rules\n\n${list}`
    : folded(`Rules: ${rules.length}`, list)
}
