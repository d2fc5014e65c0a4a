import { kinds, kindsToRead } from '../model/kinds.ts'
import { sum } from '../units.ts'
import {
  bytesCell,
  nameCell,
  shownRows,
  sumCell,
  whatCell,
  whyCell
} from './cells.ts'
import { bar, folded, table, tableThatFits } from './markdown.ts'
import { goes, type Report, type Resource } from './schema.ts'
import { code } from './text.ts'

export function renderKinds({ resources, dryRun }: Report): string {
  const filled = new Set(resources.map(columnOf))
  const columns = Object.entries(dryRun ? plannedColumns : doneColumns).filter(
    ([column]) => alwaysShown.includes(column) || filled.has(column)
  )
  const all = bytesOf(resources)
  const rows = kindsToRead.flatMap((kind) => {
    const { noun } = kinds[kind]
    const ofKind = resources.filter((one) => one.kind === kind)
    if (ofKind.length === 0) return []
    const byColumn = Object.groupBy(ofKind, columnOf)
    const bytes = bytesOf(ofKind)
    return [
      [
        kind === 'build-cache' ? noun : `${noun}s`,
        ...columns.map(([column]) => byColumn[column]?.length ?? 0),
        sumCell(bytes, {
          unknown: ofKind.some((one) => one.bytes === null),
          estimated: ofKind.some((one) => one.estimated)
        }),
        ...(all > 0 ? [bar(bytes / all)] : [])
      ]
    ]
  })
  const heads = columns.map(([, title]) => `${title}:`)
  const freed = dryRun ? 'would free:' : 'freed:'
  return table(['', ...heads, freed, ...(all > 0 ? [''] : [])], rows)
}

export function renderFailures({ resources }: Report): string {
  const failed = resources.filter(({ outcome }) => outcome === 'failed')
  if (failed.length === 0) return ''
  const list = tableThatFits(
    ['kind', 'name', 'the engine’s words'],
    failed.map((one) => [
      kinds[one.kind].noun,
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
    bytesCell(one),
    bar((one.bytes ?? 0) / most),
    code(one.detail, 80)
  ])
  const title = dryRun ? 'The largest that would go' : 'The largest that went'
  return `### ${title}\n\n${table(['', 'bytes:', '', 'why'], rows)}`
}

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
      went.map((one) => [bytesCell(one), ...cells(one)])
    ),
    renderList(
      dryRun ? 'Everything that would stay' : 'Everything that stays',
      ['kind', 'name', 'why'],
      kept.map(cells)
    )
  ]
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

function columnOf({ action, outcome }: Resource): string {
  if (outcome !== 'planned') return outcome
  return action === 'untag' ? 'untagged' : 'removed'
}

function bytesOf(resources: readonly Resource[]): number {
  return sum(resources.map(({ bytes }) => bytes ?? 0))
}

function bySize(resources: readonly Resource[]): Resource[] {
  return resources.toSorted((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0))
}

const mostListBytes = 400_000

function renderList(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[]
): string {
  if (rows.length === 0) return ''
  return folded(
    `${title}: ${rows.length}`,
    tableThatFits(head, rows, mostListBytes)
  )
}

function cells(resource: Resource): string[] {
  return [kinds[resource.kind].noun, nameCell(resource), whyCell(resource)]
}
