import { format } from 'prettier'

/** Replaces the text between each part's marks with its tables. */
export async function putTables(
  page: string,
  tables: Readonly<Record<string, string>>
): Promise<string> {
  let text = page
  for (const [part, lines] of Object.entries(tables)) {
    const [before, rest] = splitAt(text, `<!-- tables: ${part} -->`)
    const [, after] = splitAt(rest, '<!-- end -->')
    text = `${before}<!-- tables: ${part} -->\n\n${lines}\n\n<!-- end -->${after}`
  }
  return format(text, { parser: 'markdown' })
}

function splitAt(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark)
  if (at < 0) throw new Error(`The page has no ${mark}`)
  return [text.slice(0, at), text.slice(at + mark.length)]
}
