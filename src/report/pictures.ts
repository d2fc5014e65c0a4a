import { repositoryOf } from '../model/references.ts'
import { formatSize, sum } from '../units.ts'
import { goes, type Report, type Resource } from './schema.ts'

/** Colours that can be told apart on white and on black, with black text on them. */
const colours = [
  '#58a6ff',
  '#3fb950',
  '#e3b341',
  '#ff8a80',
  '#bc8cff',
  '#39c5cf',
  '#f0883e',
  '#8b949e'
]

/** A pie of the freed bytes by repository and kind. Empty if there is nothing to compare, or nothing stands out. */
export function renderPie({ dryRun, resources }: Report): string {
  const groups = groupBytes(resources)
  const shown = groups.length > colours.length ? colours.length - 1 : Infinity
  const rest = groups.slice(shown)
  if (groups.length < 2 || total(rest) > total(groups) * 0.75) return ''
  const others = { name: `${rest.length} others`, bytes: total(rest) }
  const slices = [
    ...groups.slice(0, shown),
    ...(rest.length > 0 ? [others] : [])
  ]
  return [
    '```mermaid',
    `%%{init: ${JSON.stringify({ themeVariables: pieTheme(slices.length) })}}%%`,
    `pie title ${dryRun ? 'Would be freed' : 'Freed'}, by repository`,
    ...slices.map(
      ({ name, bytes }) =>
        `  "${name}: ${formatSize(bytes)}" : ${Math.round(bytes)}`
    ),
    '```'
  ].join('\n')
}

const longestLabel = 30

/**
 * Other people's text as a label of Mermaid, which has no escape that always works: only the characters of repository
 * names remain. A long one loses its start, which says less.
 */
export function mermaidLabel(text: string): string {
  const safe =
    text
      .slice(-1_000)
      .replace(/[^\w./:@+ -]/g, '_')
      .trim() || '_'
  return safe.length > longestLabel
    ? `...${safe.slice(3 - longestLabel)}`
    : safe
}

type Slice = { name: string; bytes: number }

function groupBytes(resources: readonly Resource[]): Slice[] {
  const freed = resources.filter((one) => goes(one) && (one.bytes ?? 0) > 0)
  return [...Map.groupBy(freed, (one) => mermaidLabel(groupOf(one)))]
    .map(([name, members]) => ({
      name,
      bytes: sum(members.map(({ bytes }) => bytes ?? 0))
    }))
    .sort((a, b) => b.bytes - a.bytes)
}

function total(slices: readonly Slice[]): number {
  return sum(slices.map(({ bytes }) => bytes))
}

/** The repository of an image, the kind of everything else. */
function groupOf({ kind, references = [] }: Resource): string {
  if (kind === 'build-cache') return 'build cache'
  if (kind !== 'image') return `${kind}s`
  const [first] = references
  return first === undefined ? 'dangling images' : repositoryOf(first)
}

function pieTheme(slices: number): Record<string, string> {
  const named = colours
    .slice(0, slices)
    .map((colour, index) => [`pie${index + 1}`, colour] as const)
  return {
    ...Object.fromEntries(named),
    pieOpacity: '1',
    pieStrokeWidth: '0px',
    pieOuterStrokeWidth: '0px',
    pieTitleTextSize: '20px',
    pieSectionTextColor: '#000',
    pieLegendTextSize: '18px'
  }
}
