import { parseLabelPattern, problemOfGlob } from '../model/patterns.ts'
import {
  dangling,
  patternOf,
  type Rule,
  type RuleKind,
  ruleKinds
} from '../model/rules.ts'
import { parseDuration } from '../units.ts'
import { count } from '../words.ts'
import {
  parseUntil,
  problemOfTime,
  quote,
  untilForm,
  wholeNumber
} from './parsers.ts'
import type { Problem } from './problems.ts'

export const rulesForm =
  'one rule per line: [image, container, network, volume or label] pattern, then keep, or until=, keep-last=, stop-after='

/** More bad lines than that are only counted, and more problems of a line. */
const mostShownLines = 50
const mostShownProblems = 5

/** Also a lone CR: what follows it must not be lost in a comment. */
const lineEnd = /\r\n?|\n/

/** Reads the input `rules`, with a problem for each bad line. `now` is the latest time for `until=`. */
export function parseRules(
  text: string,
  now: number
): { rules: Rule[]; problems: Problem[] } {
  const rules: Rule[] = []
  const problems: Problem[] = []
  const linesOf = new Map<string, number>()
  for (const [index, source] of text.split(lineEnd).entries()) {
    const line = index + 1
    const { rule, wrong } = parseLine(source, line, now)
    const key = rule && patternOf(rule)
    const before = key === undefined ? undefined : linesOf.get(key)
    if (before !== undefined) wrong.push(`line ${before} has the same pattern`)
    else if (key !== undefined) linesOf.set(key, line)
    if (wrong.length > 0)
      problems.push([
        `rules: line ${line}`,
        `got ${quote(source.trim())}; ${listProblems(wrong)}`
      ])
    else if (rule !== undefined) rules.push(rule)
  }
  const more = problems.length - mostShownLines
  return {
    rules,
    problems:
      more > 0
        ? [
            ...problems.slice(0, mostShownLines),
            ['rules: …', count(more, 'more bad line')]
          ]
        : problems
  }
}

function listProblems(wrong: readonly string[]): string {
  const more = wrong.length - mostShownProblems
  const shown = wrong.slice(0, mostShownProblems)
  return [...shown, ...(more > 0 ? [count(more, 'more problem')] : [])].join(
    '; '
  )
}

/** A rule, or undefined for a line without one; `wrong` is everything wrong with the line. */
function parseLine(
  source: string,
  line: number,
  now: number
): { rule: Rule | undefined; wrong: string[] } {
  const words = splitWords(source)
  if (typeof words === 'string') return { rule: undefined, wrong: [words] }
  const [first, ...rest] = words
  if (first === undefined) return { rule: undefined, wrong: [] }
  const named = first.quoted
    ? undefined
    : ruleKinds.find((kind) => kind === first.text)
  const kind = named ?? 'image'
  const [pattern, ...settings] = named === undefined ? words : rest
  if (pattern === undefined)
    return {
      rule: undefined,
      wrong: [
        `expected a pattern after ${kind} (to match an image of that name: image ${kind} …)`
      ]
    }
  const parsed = parseSettings(
    settings.map(({ text }) => text),
    now
  )
  const rule: Rule = {
    ...{ line, kind, pattern: pattern.text, keep: false },
    settings: settings.map(({ text }) => text).join(' '),
    ...parsed.values
  }
  const ofPattern = problemOfRulePattern(kind, pattern.text)
  return {
    rule,
    wrong: [
      ...(ofPattern === undefined ? [] : [ofPattern]),
      ...parsed.wrong,
      ...problemsOfUse(rule)
    ]
  }
}

type Word = { text: string; quoted: boolean }

/** The words of a line without its comment, or its problem. Only a pattern needs quotes. */
function splitWords(source: string): Word[] | string {
  const words: Word[] = []
  const next = /\s*(?:#.*$|"([^"]*)"(?=\s|$)|([^\s"]\S*)|(\S))/sy
  for (;;) {
    const found = next.exec(source)
    if (found === null) return words
    const [, quoted, plain, bad] = found
    if (bad !== undefined)
      return 'a quote is not closed, or not followed by a space'
    if (quoted !== undefined) words.push({ text: quoted, quoted: true })
    else if (plain !== undefined) words.push({ text: plain, quoted: false })
    else return words
  }
}

/** The problem of a pattern that can match nothing; else undefined. */
function problemOfRulePattern(
  kind: RuleKind,
  pattern: string
): string | undefined {
  if (pattern === '') return 'the pattern is empty'
  if (kind === 'label') {
    const parsed = parseLabelPattern(pattern)
    return 'problem' in parsed
      ? `expected key or key=value: ${parsed.problem}`
      : undefined
  }
  if (kind === 'image') {
    const problem = pattern === dangling ? undefined : problemOfGlob(pattern)
    return (
      problem &&
      `expected a reference glob such as **:dev-*, an image ID or ${dangling}: ${problem}`
    )
  }
  const bad = /[^\w.*?-]/.exec(pattern)
  return bad === null || kind === 'network'
    ? undefined
    : `expected a name with * and ?: invalid character ${JSON.stringify(bad[0])}`
}

type Values = Pick<Rule, 'until' | 'keepLast' | 'stopAfter'> & { keep?: true }

/** Every setting: its form, and how its text is read. */
const settings: Record<
  string,
  { form: string; read: (text: string, now: number) => Values | undefined }
> = {
  'until=': {
    form: untilForm,
    read: (text, now) => {
      const until = parseUntil(text)
      const bad = until === undefined || problemOfTime(text, now) !== undefined
      return bad ? undefined : { until }
    }
  },
  'keep-last=': {
    form: 'a whole number, 0 or more',
    read: (text) => {
      const keepLast = wholeNumber(0, Number.MAX_SAFE_INTEGER)(text)
      return keepLast === undefined ? undefined : { keepLast }
    }
  },
  'stop-after=': {
    form: 'a duration above 0s',
    read: (text) => {
      const stopAfter = parseDuration(text)
      return stopAfter ? { stopAfter } : undefined
    }
  },
  keep: { form: 'no value', read: () => ({ keep: true }) }
}

const settingForms = 'keep, until=, keep-last= or stop-after='

function parseSettings(
  words: readonly string[],
  now: number
): { values: Values; wrong: string[] } {
  if (words.length === 0)
    return { values: {}, wrong: [`expected ${settingForms} after the pattern`] }
  const values: Values = {}
  const wrong: string[] = []
  const seen = new Set<string>()
  for (const word of words) {
    const [, name = '', text = ''] = /^([^=]*=?)(.*)$/s.exec(word) ?? []
    const setting = Object.hasOwn(settings, name) ? settings[name] : undefined
    const value = setting?.read(text, now)
    if (setting === undefined)
      wrong.push(`unknown word ${quote(word)}, expected ${settingForms}`)
    else if (seen.has(name)) wrong.push(`${name} is set twice`)
    else if (value === undefined) wrong.push(`${name} expects ${setting.form}`)
    Object.assign(values, value)
    seen.add(name)
  }
  if (seen.has('keep') && seen.size > 1)
    wrong.push('keep excludes other settings')
  return { values, wrong }
}

/** Settings that have no meaning for what the pattern matches. */
function problemsOfUse({ kind, pattern, keepLast, stopAfter }: Rule): string[] {
  const counts = ['image', 'label'].includes(kind) && pattern !== dangling
  const stops = ['container', 'label'].includes(kind)
  return [
    ...(keepLast !== undefined && !counts
      ? ['keep-last= only applies to tagged images and labels']
      : []),
    ...(stopAfter !== undefined && !stops
      ? ['stop-after= only applies to containers and labels']
      : [])
  ]
}
