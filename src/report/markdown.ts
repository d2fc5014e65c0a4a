import { formatSize } from '../units.ts'
import type { Resource } from './schema.ts'

type Cell = string | number

/** A table; columns whose head ends in `:` stand to the right, as numbers do. */
export function table(
  head: readonly string[],
  rows: readonly (readonly Cell[])[]
): string {
  const line = (cells: readonly Cell[]) => `| ${cells.join(' | ')} |`
  const names = head.map((name) => name.replace(/:$/, ''))
  const rule = head.map((name) => (name.endsWith(':') ? '---:' : ':---'))
  return [line(names), line(rule), ...rows.map(line)].join('\n')
}

/** As many rows as fit into so many bytes, with a line that says how many more there are. */
export function tableThatFits(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  most: number
): string {
  let size = 0
  const tooMany = rows.findIndex((row) => {
    size += Buffer.byteLength(row.join(' | ')) + 5
    return size > most
  })
  if (tooMany < 0) return table(head, rows)
  const more = rows.length - tooMany
  return `${table(head, rows.slice(0, tooMany))}\n\n… and ${more} more: the report file has them all.`
}

/** Folded away until somebody wants it. */
export function folded(title: string, body: string): string {
  return `<details><summary>${title}</summary>\n\n${body}\n\n</details>`
}

const barLength = 12

/** A share as a bar of text, which every renderer of Markdown shows: `██████      `. */
export function bar(share: number): string {
  const full = Math.round(Math.min(Math.max(share, 0), 1) * barLength)
  // Something is more than nothing. Spaces that do not break are never collapsed.
  const filled = share > 0 ? Math.max(full, 1) : 0
  return `\`${'█'.repeat(filled)}${'\u00a0'.repeat(barLength - filled)}\``
}

/** A figure for a cell: it never breaks between the number and its unit. */
export function figure(text: string): string {
  return text.replaceAll(' ', '\u00a0')
}

/** What a resource freed, or would free. */
export function describeBytes({
  bytes,
  bytesAtMost,
  estimated
}: Pick<Resource, 'bytes' | 'bytesAtMost' | 'estimated'>): string {
  if (bytes === null) return 'unknown'
  const certain = figure(estimate(formatSize(bytes), estimated))
  return bytesAtMost === undefined
    ? certain
    : `${certain}, up to ${figure(formatSize(bytesAtMost))}`
}

/** A sum for a cell; where a part of it is unknown, it is that at the least. */
export function describeSum(
  bytes: number,
  { unknown, estimated }: { unknown: boolean; estimated?: boolean }
): string {
  if (bytes === 0 && unknown) return 'unknown'
  const sized = figure(estimate(formatSize(bytes), estimated))
  return `${sized}${unknown ? ' or more' : ''}`
}

/** Marks a figure that is an estimate. */
export function estimate(text: string, estimated: boolean | undefined): string {
  return estimated ? `≈ ${text}` : text
}
