type Cell = string | number

/** A table. A column whose head ends in `:` is aligned to the right, as numbers are. */
export function table(
  head: readonly string[],
  rows: readonly (readonly Cell[])[]
): string {
  const line = (cells: readonly Cell[]) => `| ${cells.join(' | ')} |`
  const names = head.map((name) => name.replace(/:$/, ''))
  const rule = head.map((name) => (name.endsWith(':') ? '---:' : ':---'))
  return [line(names), line(rule), ...rows.map(line)].join('\n')
}

/** A table with as many rows as fit into `most` bytes, and a line about the others. */
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
  return `${table(head, rows.slice(0, tooMany))}\n\n… and ${more} more, all in the report file.`
}

export function folded(title: string, body: string): string {
  return `<details><summary>${title}</summary>\n\n${body}\n\n</details>`
}

const barLength = 12

/** A share as a bar of text, which every renderer of Markdown shows: `██████      `. */
export function bar(share: number): string {
  const full = Math.round(Math.min(Math.max(share, 0), 1) * barLength)
  const filled = share > 0 ? Math.max(full, 1) : 0
  // Renderers collapse common spaces.
  return `\`${'█'.repeat(filled)}${'\u00a0'.repeat(barLength - filled)}\``
}

/** A figure that never breaks between the number and its unit. */
export function figure(text: string): string {
  return text.replaceAll(' ', '\u00a0')
}

export function estimate(text: string, estimated: boolean | undefined): string {
  return estimated ? `≈ ${text}` : text
}
