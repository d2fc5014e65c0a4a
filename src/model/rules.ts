import type { Until } from './dates.ts'

/** A lifecycle rule: one line of the input `rules`. What it does not set, the other inputs do. */
export type Rule = {
  /** Its line in the input, counted from 1. */
  line: number
  kind: RuleKind
  /** As written, without quotes. */
  pattern: string
  /** As written: `keep`, or `until=30d keep-last=10`. */
  settings: string
  keep: boolean
  until?: Until
  keepLast?: number
  /** Milliseconds after which a running container is stopped. */
  stopAfter?: number
}

export const ruleKinds = [
  'image',
  'container',
  'network',
  'volume',
  'label'
] as const

/** What a pattern is compared with: references, names, or the labels of any kind of resource. */
export type RuleKind = (typeof ruleKinds)[number]

/** The image pattern that means images without a reference. */
export const dangling = '<none>'

/** A rule in words: ``rule 3 `**:staging-*`: until 30d``. */
export function describeRule(rule: Rule): string {
  const settings = rule.settings.replaceAll(' ', ', ').replaceAll('=', ' ')
  return `rule ${rule.line} \`${patternOf(rule)}\`: ${settings}`
}

/** The pattern with its kind, which images do without. */
export function patternOf({
  kind,
  pattern
}: Pick<Rule, 'kind' | 'pattern'>): string {
  return kind === 'image' ? pattern : `${kind} ${pattern}`
}
