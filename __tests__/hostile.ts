import { marked, type Token, type Tokens } from 'marked'

/** Other people's text, as bad as it gets; each has the word `evil`, by which it is found again. */
export const hostileTexts = [
  ...['::set-env name=evil::y', ' \u00a0::error::evil', '##[add-mask]evil'],
  ...['x\n::error::evil', 'x\r::set-env name=evil::y', 'x\r\n##[error]evil'],
  ...['x\u2028::error::evil', 'x\u0085::error::evil', 'evil%0A::error::x'],
  ...[
    '\u001b[31mevil\u001b[0m',
    '\u009b31mevil',
    '\u202eevil\u2066',
    '\u200bevil'
  ],
  ...['[evil](https://evil.example)', '![evil](https://evil.example/x.png)'],
  ...['https://evil.example', '<https://evil.example>', 'www.evil.example'],
  ...['evil@evil.example', '@evil', '#1 evil', ':evil:', '[^evil]'],
  ...[
    '<img src=evil>',
    '</code></details></table>evil',
    '<!-- evil',
    '--> evil'
  ],
  ...['&lt;img src=evil&gt;', '<script>evil</script>', '<details open>evil'],
  ...['evil | evil', '\\| evil \\\\| evil', '|evil', 'evil\\', '\\`evil\\`'],
  ...['`evil`', '``evil', '`evil', 'evil`', '` evil `', '```\nevil\n```'],
  ...[
    '***evil***',
    '~~evil~~',
    '$evil$',
    '$`evil`$',
    '# evil',
    '> [!NOTE]evil'
  ],
  ...[
    'x\n\n# evil\n',
    'x\n- evil',
    'x\n| evil |\n| --- |',
    '\n</details>\nevil'
  ],
  ...['evil"; pie title x', '"evil" : 1', '#quot;evil#35;', 'style evil:#1;'],
  ...['%%{init: {"theme": "evil"}}%%', '---\ntitle: evil\n---'],
  ...['🐳 größe 日本 evil', '{}()<>evil:::', `${'very-long/'.repeat(30)}evil`]
]

/**
 * What the runner would take for a command in what a process printed, but for those that the step means: it reads
 * line by line, whatever ends a line, and looks for `::` at the start and for `##[` anywhere.
 */
export function foreignCommands(printed: string): string[] {
  return printed
    .split(/\r\n|[\n\r\v\f\u0085\u2028\u2029]/)
    .filter(
      (line) =>
        (line.trimStart().startsWith('::') || line.includes('##[')) &&
        !/^::(group::(Look|Plan|Remove)$|endgroup::$|warning::|error::)/.test(
          line
        )
    )
}

/** Characters that end a line, move a terminal's cursor, or hide or reorder what is around them. */
export function oddCharacters(printed: string): string[] {
  return (
    printed
      .replaceAll('\n', '')
      // Put there by the summary itself, so that no backslash takes away a bar's.
      .replaceAll('\\\u200b\\|', '')
      .match(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu) ?? []
  )
}

const ownHtml =
  /^(<details( open)?><summary>[A-Z][a-z ]+(: \d+)?<\/summary>|<\/details>)$/
const kinds = /^(container|network|image|volume|build cache)$/

/** What a Markdown renderer makes of a summary that the summary did not write: other people's text is code. */
export function foreignMarkup(summary: string): string[] {
  return walk(marked.lexer(summary, { gfm: true }))
}

function walk(tokens: readonly Token[]): string[] {
  return tokens.flatMap((token): string[] => {
    switch (token.type) {
      case 'codespan':
      case 'space':
      case 'br':
        return []
      case 'html':
        return ownHtml.test(token.raw.trim()) ? [] : [token.raw]
      case 'text':
        if (token.tokens !== undefined) return walk(token.tokens)
        return /evil|@|:\/\/|www\.|[<>`|\\]/.test(token.raw) ? [token.raw] : []
      case 'heading':
      case 'paragraph':
      case 'strong':
      case 'blockquote':
      case 'list_item':
        return walk(token.tokens ?? [])
      case 'list':
        return walk((token as Tokens.List).items)
      case 'code':
        return walkCode(token as Tokens.Code)
      case 'table':
        return walkTable(token as Tokens.Table)
      default:
        return [`${token.type}: ${token.raw}`]
    }
  })
}

const ownCells: Record<string, (types: string, text: string) => boolean> = {
  kind: (types, text) => types === 'text' && kinds.test(text),
  name: (types) => types === 'codespan',
  why: (types) => types === 'codespan',
  bytes: (_, text) => /^(|unknown|[\d.]+\s[kMGTP]?B(, up to .*)?)$/.test(text)
}

function walkTable({ header, rows }: Tokens.Table): string[] {
  return rows.flatMap((cells) =>
    cells.flatMap(({ tokens, text }, index) => {
      const isOwn = ownCells[header[index]?.text ?? '']
      const types = tokens.map(({ type }) => type).join()
      const foreign = isOwn !== undefined && !isOwn(types, text)
      return [...(foreign ? [text] : []), ...walk(tokens)]
    })
  )
}

/** Code in a fence of its own: diagrams and commands that the summary writes line by line. */
function walkCode({ lang, text }: Tokens.Code): string[] {
  const own =
    lang === 'mermaid'
      ? /^(%%\{init: \{"themeVariables":\{[\w":,# -]+\}\}\}%%|pie title [A-Z][a-z, ]+|\s+"[\w./:@+ -]+: [\d.]+ [kMGTP]?B" : \d+)$/
      : /^docker pull [\w./:[\]-]+@sha256:[0-9a-f]+( # [\w./:[\], -]+)?$/
  return text.split('\n').filter((line) => !own.test(line))
}
