import { sum } from '../units.ts'
import { nameCell, shownRows, whatCell, whyCell } from './cells.ts'
import { goes, nouns } from './words.ts'
import {
  bar,
  describeBytes,
  describeSum,
  folded,
  table,
  tableThatFits
} from './markdown.ts'
import type { Report, Resource } from './schema.ts'
import { code } from './text.ts'

/** How many bytes of the summary a list may take. */
const longestList = 400_000

/** What became of each kind. */
export function renderKinds({ resources, dryRun }: Report): string {
  const words = dryRun ? plannedColumns : doneColumns
  const filled = new Set(resources.map(columnOf))
  const shown = Object.entries(words).filter(
    ([column]) => alwaysShown.includes(column) || filled.has(column)
  )
  const all = sum(resources.map(({ bytes }) => bytes ?? 0))
  const rows = Object.entries(nouns).flatMap(([kind, noun]) => {
    const ofKind = resources.filter((one) => one.kind === kind)
    if (ofKind.length === 0) return []
    const number = (column: string) =>
      ofKind.filter((one) => columnOf(one) === column).length
    const bytes = sum(ofKind.map((one) => one.bytes ?? 0))
    return [
      [
        kind === 'build-cache' ? noun : `${noun}s`,
        ...shown.map(([column]) => number(column)),
        describeSum(bytes, {
          unknown: ofKind.some((one) => one.bytes === null),
          estimated: ofKind.some((one) => one.estimated)
        }),
        ...(all > 0 ? [bar(bytes / all)] : [])
      ]
    ]
  })
  const heads = shown.map(([, word]) => `${word}:`)
  const freed = dryRun ? 'would free:' : 'freed:'
  return table(['', ...heads, freed, ...(all > 0 ? [''] : [])], rows)
}

const doneColumns = {
  removed: 'removed',
  untagged: 'untagged',
  kept: 'kept',
  gone: 'gone already',
  failed: 'failed'
}

const plannedColumns = {
  removed: 'would go',
  untagged: 'would be untagged',
  kept: 'would stay'
}

const alwaysShown = ['removed', 'kept', 'failed']

/** Every resource is in exactly one column. */
function columnOf({ action, outcome }: Resource): string {
  if (outcome !== 'planned') return outcome
  return action === 'untag' ? 'untagged' : 'removed'
}

/** Failures with the engine's words. */
export function renderFailures({ resources }: Report): string {
  const failed = resources.filter(({ outcome }) => outcome === 'failed')
  if (failed.length === 0) return ''
  const list = tableThatFits(
    ['kind', 'name', 'the engine’s words'],
    failed.map((one) => [
      nouns[one.kind],
      nameCell(one),
      code(one.detail, 300)
    ]),
    100_000
  )
  return failed.length <= 2 * shownRows
    ? `### Failed\n\n${list}`
    : `### Failed\n\n${folded(`Removals that failed: ${failed.length}`, list)}`
}

export function renderLargest({ resources, dryRun }: Report): string {
  const largest = bySize(
    resources.filter((one) => goes(one) && (one.bytes ?? 0) > 0)
  ).slice(0, shownRows)
  if (largest.length === 0) return ''
  const most = largest[0]?.bytes ?? 1
  const rows = largest.map((one) => [
    whatCell(one),
    describeBytes(one),
    bar((one.bytes ?? 0) / most),
    code(one.detail, 80)
  ])
  const title = dryRun ? 'The largest that would go' : 'The largest that went'
  return `### ${title}\n\n${table(['', 'bytes:', '', 'why'], rows)}`
}

function bySize(resources: readonly Resource[]): Resource[] {
  return [...resources].sort((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0))
}

/** Everything, folded away. */
export function renderEverything({ resources, dryRun }: Report): string[] {
  const went = bySize(
    resources.filter(
      ({ action, outcome }) =>
        action !== 'keep' && outcome !== 'failed' && outcome !== 'kept'
    )
  )
  const kept = resources.filter(({ outcome }) => outcome === 'kept')
  return [
    renderList(
      dryRun ? 'Everything that would go' : 'Everything that went',
      ['bytes:', 'kind', 'name', 'why'],
      went.map((one) => [describeBytes(one), ...cells(one)])
    ),
    renderList(
      dryRun ? 'Everything that would stay' : 'Everything that stays',
      ['kind', 'name', 'why'],
      kept.map(cells)
    )
  ]
}

function renderList(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[]
): string {
  if (rows.length === 0) return ''
  return folded(
    `${title}: ${rows.length}`,
    tableThatFits(head, rows, longestList)
  )
}

function cells(resource: Resource): string[] {
  return [nouns[resource.kind], nameCell(resource), whyCell(resource)]
}
