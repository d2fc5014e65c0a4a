import { marked, type Token, type Tokens } from 'marked'

/** Malicious text from other people. Every entry contains the word `evil`, to find it in the output. */
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

/** Finds lines that the runner would run as commands, except those that the step prints itself. */
export function foreignCommands(printed: string): string[] {
  // The runner splits at any of these, and accepts `##[` anywhere in a line.
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

/** Finds characters that end a line, move the terminal's cursor, or hide or reorder text. */
export function oddCharacters(printed: string): string[] {
  return (
    printed
      .replaceAll('\n', '')
      // The summary adds these itself, so that a preceding backslash cannot unescape the pipe.
      .replaceAll('\\\u200b\\|', '')
      .match(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu) ?? []
  )
}

const ownHtml =
  /^(<details( open)?><summary>[A-Z][a-z, ]+(: \d+)?<\/summary>|<\/details>)$/
const kinds = /^(container|network|image|volume|build cache)$/

/** Finds rendered Markdown that the summary did not write itself: other people's text may only appear as code. */
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
  size: (_, text) =>
    /^(unknown|untagged|already gone|[\d.]+\s[kMGTP]?B(, up to .*)?)$/.test(
      text
    )
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

/** Fenced code holds only diagrams and commands that the summary writes itself, line by line. */
function walkCode({ lang, text }: Tokens.Code): string[] {
  const own =
    lang === 'mermaid'
      ? /^(%%\{init: \{"themeVariables":\{[\w":,# -]+\}\}\}%%|pie title [A-Z][a-z, ]+|\s+"[\w./:@+ -]+: [\d.]+ [kMGTP]?B" : \d+)$/
      : /^docker pull [\w./:[\]-]+@sha256:[0-9a-f]+( # [\w./:[\], -]+)?$/
  return text.split('\n').filter((line) => !own.test(line))
}
