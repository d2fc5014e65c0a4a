import { kinds, kindsToRead } from '../model/kinds.ts'
import { sum } from '../units.ts'
import { bytesCell, nameCell, shownRows, sumCell, whyCell } from './cells.ts'
import { bar, folded, table, tableThatFits } from './markdown.ts'
import { isOnlyStopped, type Report, type Resource } from './schema.ts'
import { code } from './text.ts'

export function renderKinds({ resources, dryRun }: Report): string {
  if (resources.length === 0) return ''
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
        sumCell(bytes, {
          unknown: ofKind.some((one) => one.bytes === null),
          estimated: ofKind.some((one) => one.estimated)
        }),
        ...columns.map(([column]) => byColumn[column]?.length ?? 0),
        ...(all > 0 ? [bar(bytes / all)] : [])
      ]
    ]
  })
  const heads = columns.map(([, title]) => `${title}:`)
  const freed = dryRun ? 'would free:' : 'freed:'
  return table(['', freed, ...heads, ...(all > 0 ? [''] : [])], rows)
}

export function renderFailures({ resources }: Report): string {
  const failed = resources.filter(({ outcome }) => outcome === 'failed')
  if (failed.length === 0) return ''
  const list = tableThatFits(
    ['kind', 'name', 'error'],
    failed.map((one) => [
      kinds[one.kind].noun,
      nameCell(one),
      code(one.detail, 300)
    ]),
    100_000
  )
  const shown =
    failed.length <= shownRows
      ? list
      : folded(`All failed removals: ${failed.length}`, list)
  return `### Failed removals\n\n${shown}`
}

/** Everything that was removed or untagged, or would be, largest first. */
export function renderRemoved({ resources, dryRun }: Report): string {
  const changed = resources
    .filter(
      ({ action, outcome }) =>
        action !== 'keep' && outcome !== 'failed' && outcome !== 'kept'
    )
    .sort((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0))
  return renderList(
    dryRun ? 'Would be removed, largest first' : 'Removed, largest first',
    ['size:', 'kind', 'name', 'why'],
    changed.map((one) => [sizeCell(one), ...cells(one)])
  )
}

/** The containers that a rule stopped, or would stop. */
export function renderStopped({ resources, dryRun }: Report): string {
  return renderList(
    dryRun ? 'Would be stopped' : 'Stopped',
    ['kind', 'name', 'why'],
    resources
      .filter(({ stop }) => stop !== undefined)
      .map((one) => [
        kinds[one.kind].noun,
        nameCell(one),
        code(one.detail, 300)
      ])
  )
}

export function renderKept({ resources, dryRun }: Report): string {
  return renderList(
    dryRun ? 'Would be kept' : 'Kept',
    ['kind', 'name', 'why'],
    resources
      .filter((one) => one.outcome === 'kept' && !isOnlyStopped(one))
      .map(cells)
  )
}

const doneColumns = {
  removed: 'removed',
  untagged: 'untagged',
  kept: 'kept',
  gone: 'already gone',
  failed: 'failed'
}

const plannedColumns = {
  removed: 'would remove',
  untagged: 'would untag',
  kept: 'would keep'
}

const alwaysShown = ['removed', 'kept']

function columnOf({ action, outcome }: Resource): string {
  if (outcome !== 'planned') return outcome
  return action === 'untag' ? 'untagged' : 'removed'
}

function bytesOf(resources: readonly Resource[]): number {
  return sum(resources.map(({ bytes }) => bytes ?? 0))
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

function sizeCell(resource: Resource): string {
  const { action, outcome } = resource
  if (outcome === 'gone') return 'already gone'
  return action === 'untag' ? 'untagged' : bytesCell(resource)
}

function cells(resource: Resource): string[] {
  return [kinds[resource.kind].noun, nameCell(resource), whyCell(resource)]
}
