import { z } from 'zod'
import type { Until } from '../model/dates.ts'
import { longestDuration, parseDuration, parseTime } from '../units.ts'

/** An input whose text `parse` turns into a value; undefined where the text is invalid. `expected` is the valid form. */
export function input<T>(
  expected: string,
  parse: (text: string) => T | undefined
) {
  return z
    .string()
    .transform((text, context) => {
      const value = parse(text)
      if (value !== undefined) return value
      context.addIssue({ code: 'custom', message: `expected ${expected}` })
      return z.NEVER
    })
    .describe(expected)
}

export function choiceInput<const T>(choices: Record<string, T>) {
  return input(orList(Object.keys(choices)), (text) =>
    Object.hasOwn(choices, text.toLowerCase())
      ? choices[text.toLowerCase()]
      : undefined
  )
}

export const yesOrNo = { true: true, false: false }

/** An input with one item a line, or commas between them. Its message names the invalid items. */
export function listInput<T>(
  expected: string,
  parse: (item: string) => { value: T } | { problem: string }
) {
  const parseList = (text: string, context: z.RefinementCtx) => {
    const items = text.split(/[\n,]/).map((item) => item.trim())
    const bad: string[] = []
    const values = items.filter(Boolean).flatMap((item) => {
      const parsed = parse(item)
      if ('value' in parsed) return [parsed.value]
      bad.push(`${quote(item)} (${parsed.problem})`)
      return []
    })
    const shown = bad.slice(0, mostShownItems)
    if (bad.length > mostShownItems)
      shown.push(`${bad.length - mostShownItems} more`)
    if (bad.length > 0)
      context.addIssue({
        code: 'custom',
        message: `expected ${expected}; invalid: ${shown.join(', ')}`
      })
    return values
  }
  return z
    .string()
    .transform(parseList)
    .describe(`${expected}; several: one per line, or with commas`)
}

export function checkedBy(problemOf: (item: string) => string | undefined) {
  return (item: string) => {
    const problem = problemOf(item)
    return problem === undefined ? { value: item } : { problem }
  }
}

export function wholeNumber(least: number, most: number) {
  return (text: string) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN
    return value >= least && value <= most ? value : undefined
  }
}

export const untilForm =
  'a duration such as 36h, 7d, 1w2d or 0s, a date such as 2026-01-31, or an RFC 3339 time'

export function parseUntil(text: string): Until | undefined {
  const duration = parseDuration(text)
  if (duration !== undefined) return { duration }
  const time = parseTime(text)
  return time === undefined ? undefined : { time }
}

/** The problem of a time that `until` cannot mean at the instant `now`. */
export function problemOfTime(text: string, now: number): string | undefined {
  const time = parseTime(text)
  return time === undefined || (time <= now && now - time < longestDuration)
    ? undefined
    : 'expected a time in the past 292 years'
}

export function asPath(text: string): string | undefined {
  return text.includes('\0') ? undefined : text
}

export function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)
}

const mostShownItems = 10

function orList(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`
}
