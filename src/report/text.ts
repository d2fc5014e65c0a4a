/**
 * Makes other people's text (names, labels, an engine's words) safe for one line of the log: control characters, line
 * breaks and characters that hide or reorder others become visible, as does `##[`, which begins a command of the runner
 * anywhere in a line.
 */
export function neutralise(text: string): string {
  return text
    .replace(
      /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
      (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
    )
    .replaceAll('##[', '##\\u{5b}')
}

/** One line for the log. `::` begins a command of the runner at the start of a line. */
export function logLine(text: string): string {
  return neutralise(text).replace(/^(\s*):/, '$1\\u{3a}')
}

export function logLines(text: string): string[] {
  return text.split(/\r?\n/).map(logLine)
}

/** Other people's text as a code span of Markdown, for a cell of a table as well. Long text is cut. */
export function code(text: string, longest = 200): string {
  const shown =
    text.length > longest
      ? `${text.slice(0, longest).replace(/[\uD800-\uDBFF]$/, '')}…`
      : text
  const safe = neutralise(shown)
    // A backslash before the bar would escape the one that escapes the bar.
    .replaceAll('\\|', '\\\u200b|')
    .replaceAll('|', '\\|')
  const runs = safe.match(/`+/g) ?? []
  const fence = '`'.repeat(Math.max(0, ...runs.map(({ length }) => length)) + 1)
  const pad =
    safe.startsWith('`') || safe.endsWith('`') || safe.trim() === '' ? ' ' : ''
  return `${fence}${pad}${safe}${pad}${fence}`
}
