import type { InputName, InputTexts } from '../inputs.ts'
import { sum } from '../policy/decision.ts'
import { formatDuration, formatSize } from '../units.ts'
import { goes, nouns } from './headline.ts'
import {
  bar,
  describeBytes,
  figure,
  folded,
  table,
  tableThatFits
} from './markdown.ts'
import type { Reason, Report, Resource } from './report.ts'
import { code } from './text.ts'

/** How many bytes of the summary a list may take, and how many rows stand there without being unfolded. */
const longestList = 400_000
const shownRows = 5

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
        describeSum(ofKind),
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

function describeSum(resources: readonly Resource[]): string {
  const bytes = sum(resources.map((one) => one.bytes ?? 0))
  const unknown = resources.some((one) => one.bytes === null)
  if (bytes === 0 && unknown) return 'unknown'
  return `${figure(formatSize(bytes))}${unknown ? ' or more' : ''}`
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

/** Why what stays does stay, counted, with what it holds, and the input that held it; and the largest of it. */
export function renderStays(
  { resources, dryRun }: Report,
  inputs: InputTexts,
  held: ReadonlyMap<Reason, number>
): string {
  const kept = resources.filter(({ outcome }) => outcome === 'kept')
  if (kept.length === 0) return ''
  const rows = [...Map.groupBy(kept, ({ reason }) => reason)]
    .map(([reason, group]) => ({
      reason,
      group,
      bytes: held.get(reason) ?? 0
    }))
    .sort((a, b) => b.bytes - a.bytes || b.group.length - a.group.length)
    .map(({ reason, group, bytes }) => [
      [reason, ...inputCells(reason, group, inputs)].join(' '),
      group.length,
      figure(formatSize(bytes)),
      describeIdle(Math.max(...group.map(({ idle }) => idle ?? -1)))
    ])
  const head = ['reason', 'resources:', 'hold at least:', 'longest idle:']
  const what = kept.length === resources.length ? 'everything' : 'the rest'
  const title = `Why ${what} ${dryRun ? 'would stay' : 'stays'}`
  return [
    `### ${title}\n\n${table(head, rows)}`,
    renderLargestKept(kept, dryRun)
  ]
    .filter(Boolean)
    .join('\n\n')
}

function renderLargestKept(kept: readonly Resource[], dryRun: boolean): string {
  const largest = kept
    .filter(({ ownBytes = 0 }) => ownBytes > 0)
    .sort((a, b) => (b.ownBytes ?? 0) - (a.ownBytes ?? 0))
    .slice(0, shownRows)
  if (largest.length === 0) return ''
  const rows = largest.map((one) => [
    whatCell(one),
    figure(formatSize(one.ownBytes ?? 0)),
    whyCell(one, 100)
  ])
  const title = dryRun ? 'would stay' : 'stay'
  return table([`the largest that ${title}`, 'alone:', 'why'], rows)
}

function describeIdle(milliseconds: number): string {
  return milliseconds < 0 ? 'unknown' : figure(formatDuration(milliseconds))
}

/** The inputs that hold what stays for a reason, as they were given. */
function inputCells(
  reason: Reason,
  resources: readonly Resource[],
  inputs: InputTexts
): string[] {
  const names =
    reason === 'not-included'
      ? [...new Set(resources.map(({ kind }) => includes[kind]))]
      : (inputsOf[reason] ?? [])
  const given = names.map((name) =>
    code(`${name}: ${inputs[name].split(/\s*\n\s*/).join(', ')}`, 80)
  )
  return given.length > 0 ? [`(${given.join(', ')})`] : []
}

const inputsOf: Partial<Record<Reason, InputName[]>> = {
  'keep-last': ['keep-last'],
  recent: ['until'],
  'unknown-age': ['until'],
  'protected-label': ['protected-labels'],
  'protected-image': ['protected-images'],
  'named-volume': ['include-volumes'],
  budget: ['timeout']
}

const includes = {
  image: 'include-images',
  container: 'include-containers',
  network: 'include-networks',
  volume: 'include-volumes',
  'build-cache': 'include-build-cache'
} satisfies Record<Resource['kind'], InputName>

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

/** Kind and name in one, where there is little room. */
function whatCell(resource: Resource): string {
  const noun = nouns[resource.kind]
  return resource.kind === 'build-cache'
    ? noun
    : `${noun} ${nameCell(resource, 60)}`
}

function nameCell(resource: Resource, longest = 120): string {
  return code(shortened(nameOf(resource)), longest)
}

/** What a reader knows it by: all references of an image that goes, or those that it loses. */
function nameOf({
  name,
  references,
  removedReferences,
  action
}: Resource): string {
  if (action === 'untag' && removedReferences)
    return removedReferences.join(', ')
  const tags = references?.filter((one) => !one.includes('@')) ?? []
  return tags.length > 0 ? tags.join(', ') : name
}

function whyCell({ reason, detail }: Resource, longest = 300): string {
  return code(`${reason}: ${detail}`, longest)
}

/** IDs as Docker shows them to people. */
function shortened(text: string): string {
  return text.replace(/\b([0-9a-f]{12})[0-9a-f]{52}\b/g, '$1')
}
