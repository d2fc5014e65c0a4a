import { z } from 'zod'

/** Reads one input: what it takes, and how its text becomes a value or undefined. */
export function input<T>(
  takes: string,
  parse: (text: string) => T | undefined
) {
  return z.string().transform((text, context) => {
    const value = parse(text)
    if (value !== undefined) return value
    context.addIssue({ code: 'custom', message: `it takes ${takes}` })
    return z.NEVER
  })
}

/** Reads one item a line, or with commas between them; says which items are bad and why. */
export function listInput<T>(
  takes: string,
  parse: (item: string) => { value: T } | { problem: string }
) {
  return z.string().transform((text, context) => {
    const items = text.split(/[\n,]/).map((item) => item.trim())
    const bad: string[] = []
    const values = items.filter(Boolean).flatMap((item) => {
      const parsed = parse(item)
      if ('value' in parsed) return [parsed.value]
      bad.push(`${quote(item)} (${parsed.problem})`)
      return []
    })
    const shown = bad.slice(0, mostItems)
    if (bad.length > mostItems) shown.push(`${bad.length - mostItems} more`)
    if (bad.length > 0)
      context.addIssue({
        code: 'custom',
        message: `it takes ${takes}, not ${shown.join(', ')}`
      })
    return values
  })
}

/** Bad items of a list that are shown. */
const mostItems = 10

/** A value for a message: the start of it, where it is long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)
}

export function choiceInput<const T>(choices: Record<string, T>) {
  return input(orList(Object.keys(choices)), (text) =>
    Object.hasOwn(choices, text.toLowerCase())
      ? choices[text.toLowerCase()]
      : undefined
  )
}

function orList(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`
}

export const yesOrNo = { true: true, false: false }

export function wholeNumber(least: number, most: number) {
  return (text: string) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN
    return value >= least && value <= most ? value : undefined
  }
}

export function asPath(text: string): string | undefined {
  return text.includes('\0') ? undefined : text
}
