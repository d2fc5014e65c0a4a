import { sum } from '../units.ts'
import { repositoryOf } from '../model/references.ts'
import { formatSize } from '../units.ts'
import { goes } from './words.ts'
import type { Report, Resource } from './schema.ts'

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

/** A pie of what was freed, by repository and kind. */
export function renderPie({ dryRun, resources }: Report): string {
  const freed = resources.filter((one) => goes(one) && (one.bytes ?? 0) > 0)
  const groups = [...Map.groupBy(freed, (one) => mermaidLabel(groupOf(one)))]
    .map(([name, members]) => ({
      name,
      bytes: sum(members.map(({ bytes }) => bytes ?? 0))
    }))
    .sort((a, b) => b.bytes - a.bytes)
  const shown = groups.length > colours.length ? colours.length - 1 : Infinity
  const rest = groups.slice(shown)
  const total = (of: typeof groups) => sum(of.map(({ bytes }) => bytes))
  // Where there is nothing to compare, or nothing stands out, a picture says nothing.
  if (groups.length < 2 || total(rest) > total(groups) * 0.75) return ''
  const slices = [
    ...groups.slice(0, shown),
    ...(rest.length > 0
      ? [
          {
            name: `${rest.length} others`,
            bytes: total(rest)
          }
        ]
      : [])
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

/** What it counts with: an image with its repository, all else with its kind. */
function groupOf({ kind, references = [] }: Resource): string {
  if (kind === 'build-cache') return 'build cache'
  if (kind !== 'image') return `${kind}s`
  const [first] = references
  return first === undefined ? 'images without a name' : repositoryOf(first)
}

const longestLabel = 30

/**
 * Other people's text as a label of Mermaid. It has no escape that holds everywhere, so that only what names of
 * repositories are made of is let through. Of a long one the end says more.
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
