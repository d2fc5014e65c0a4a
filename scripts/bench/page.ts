import { format } from 'prettier'

/** Puts tables in place of what stands between the marks of their part in a page. */
export async function putTables(
  page: string,
  tables: Readonly<Record<string, string>>
): Promise<string> {
  let text = page
  for (const [part, lines] of Object.entries(tables)) {
    const [before, rest] = halves(text, `<!-- tables: ${part} -->`)
    const [, after] = halves(rest, '<!-- end -->')
    text = `${before}<!-- tables: ${part} -->\n\n${lines}\n\n<!-- end -->${after}`
  }
  return format(text, { parser: 'markdown' })
}

function halves(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark)
  if (at < 0) throw new Error(`The page has no ${mark}`)
  return [text.slice(0, at), text.slice(at + mark.length)]
}
