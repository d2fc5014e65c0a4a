import type { Disk } from '../docker/disk.ts'
import type { InputName, InputTexts } from '../inputs.ts'
import { sum } from '../policy/decision.ts'
import { formatDuration, formatSize } from '../units.ts'
import type { Reason, Report, Resource } from './report.ts'
import { code, count } from './text.ts'

export type SummaryFacts = {
  report: Report
  /** The inputs as they were given. */
  inputs: InputTexts
  disk: { before: Disk | undefined; after: Disk | undefined }
  /** What removing all images that stay for a reason would free, in bytes. */
  held: ReadonlyMap<Reason, number>
  warnings: readonly string[]
  /** What is left alone because the engine is Podman; undefined where it is Docker. */
  podman: string | undefined
  /** Why the step fails, if it does. */
  error: string | undefined
}

/** GitHub takes 1 MiB a step; the rest is for what another tool may have written before. */
const longestSummary = 1_000_000
const longestList = 250_000

const nouns = {
  container: 'container',
  network: 'network',
  image: 'image',
  volume: 'volume',
  'build-cache': 'build cache'
} satisfies Record<Resource['kind'], string>

/** The answer in one sentence, for the log and as the first line of the summary. */
export function headline({
  report,
  disk
}: Pick<SummaryFacts, 'report' | 'disk'>): string {
  const { totals, dryRun, resources } = report
  const milliseconds =
    Date.parse(report.finishedAt) - Date.parse(report.startedAt)
  const took =
    milliseconds < 120_000
      ? `in ${(milliseconds / 1_000).toFixed(1)} s`
      : `in ${formatDuration(milliseconds)}`
  if (totals.skipped)
    return `Nothing to do: ${count(resources.length, 'resource')} looked at ${took}.`
  const what = describeGoing(report).join(', ') || 'nothing went'
  const failed = totals.failed > 0 ? ` ${totals.failed} failed.` : ''
  const bytes = formatSize(dryRun ? totals.plannedBytes : totals.reclaimedBytes)
  return (
    `${dryRun ? 'Would reclaim' : 'Reclaimed'} ${bytes}${upTo(report)}: ` +
    `${what} ${took}.${failed}${describeDisk(disk, dryRun)}`
  )
}

/** What went or would go, counted by kind: `2 containers`, `1 image`. */
function describeGoing({ resources, totals }: Report): string[] {
  const going = resources.filter(
    ({ action, outcome }) =>
      outcome === 'removed' || (outcome === 'planned' && action === 'remove')
  )
  const planned = resources
    .filter(({ outcome }) => outcome === 'planned')
    .map(({ removedReferences = [] }) => removedReferences.length)
  const untagged = totals.untaggedReferences + sum(planned)
  return [
    ...Object.entries(nouns).flatMap(([kind, noun]) => {
      const number = going.filter((one) => one.kind === kind).length
      if (number === 0) return []
      return kind === 'build-cache' ? [noun] : [count(number, noun)]
    }),
    ...(untagged > 0 ? [count(untagged, 'reference')] : [])
  ]
}

/** In a dry run, what is possible beyond what is certain. */
function upTo({ resources, totals }: Report): string {
  const planned = resources.filter(({ outcome }) => outcome === 'planned')
  const most = sum(
    planned.map(({ bytes, bytesAtMost }) => bytesAtMost ?? bytes ?? 0)
  )
  return most > totals.plannedBytes ? ` (up to ${formatSize(most)})` : ''
}

function describeDisk(
  { before, after }: SummaryFacts['disk'],
  dryRun: boolean
): string {
  if (before === undefined || after === undefined) return ''
  if (dryRun) return ` Disk ${usedShare(before)} used.`
  return ` Disk ${usedShare(before)} → ${usedShare(after)}.`
}

/** As `df` has it: of what is used and what users may still use. */
function usedShare({ free, used }: Disk): string {
  return `${Math.round((used / (used + free)) * 100)} %`
}

/** The job summary in GitHub's Markdown, always below 1 MiB: lists that are cut say how many more there are. */
export function renderSummary(facts: SummaryFacts): string {
  const { report, disk, warnings, podman, error } = facts
  const { resources, dryRun, engine } = report
  const sections = [
    '## Docker Reclaim',
    `**${headline(facts)}**`,
    error === undefined ? '' : renderError(error),
    renderWarnings(warnings),
    podman === undefined ? '' : `> [!NOTE]\n> ${code(podman, 1_000)}`,
    renderKinds(resources, dryRun),
    renderList(
      'Failed',
      resources.filter(({ outcome }) => outcome === 'failed'),
      true
    ),
    renderList(
      dryRun ? 'Would go' : 'Went',
      resources
        .filter(
          ({ action, outcome }) =>
            action !== 'keep' && outcome !== 'failed' && outcome !== 'kept'
        )
        .sort((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0)),
      true
    ),
    renderReasons(facts),
    renderList(
      'All that stays',
      resources.filter(({ outcome }) => outcome === 'kept'),
      false
    ),
    `Engine ${code(engine.name)}, ${podman === undefined ? 'Docker' : 'Podman'} ${code(engine.version)}, image store ${code(engine.store)}.` +
      (disk.before && disk.after
        ? ` Free disk before: ${formatSize(disk.before.free)}, after: ${formatSize(disk.after.free)}.`
        : '')
  ]
  return fit(sections.filter((section) => section !== ''))
}

function renderWarnings(warnings: readonly string[]): string {
  if (warnings.length === 0) return ''
  const shown = warnings.slice(0, 50).map((one) => `> - ${code(one, 500)}`)
  const more = warnings.length - shown.length
  if (more > 0) shown.push(`> - … and ${more} more`)
  return ['> [!WARNING]', ...shown].join('\n')
}

/** A summary for a run that could not even look. */
export function renderFailure(error: string): string {
  return fit([
    '## Docker Reclaim',
    '**Nothing was removed.**',
    renderError(error)
  ])
}

function renderError(error: string): string {
  const lines = error.split('\n').filter((line) => line.trim() !== '')
  const shown = lines.slice(0, 50).map((line) => `> ${code(line, 2_000)}`)
  return `> [!CAUTION]\n${shown.join('\\\n')}`
}

function renderKinds(resources: readonly Resource[], dryRun: boolean): string {
  const rows = Object.entries(nouns).flatMap(([kind, noun]) => {
    const ofKind = resources.filter((one) => one.kind === kind)
    if (ofKind.length === 0) return []
    const number = (column: string) =>
      ofKind.filter((one) => columnOf(one) === column).length
    const bytes = sum(ofKind.map((one) => one.bytes ?? 0))
    const unknown = ofKind.some((one) => one.bytes === null)
    const atLeast = `${formatSize(bytes)}${unknown ? ' or more' : ''}`
    return [
      [
        kind === 'build-cache' ? noun : `${noun}s`,
        ...columns.map(number),
        bytes === 0 && unknown ? 'unknown' : atLeast
      ]
    ]
  })
  const head = dryRun
    ? [
        '',
        'would go',
        'would be untagged',
        'stay',
        'gone',
        'failed',
        'would free'
      ]
    : ['', 'removed', 'untagged', 'stay', 'gone already', 'failed', 'freed']
  return table(head, rows)
}

const columns = ['removed', 'untagged', 'kept', 'gone', 'failed']

/** Every resource is in exactly one column. */
function columnOf({ action, outcome }: Resource): string {
  if (outcome !== 'planned') return outcome
  return action === 'untag' ? 'untagged' : 'removed'
}

/** Why what stays does stay, counted, with what it holds, and the input that held it. */
function renderReasons({ report, inputs, held }: SummaryFacts): string {
  const kept = report.resources.filter(({ outcome }) => outcome === 'kept')
  if (kept.length === 0) return ''
  const rows = [...Map.groupBy(kept, ({ reason }) => reason)].map(
    ([reason, resources]) => {
      const longest = Math.max(...resources.map(({ idle }) => idle ?? -1))
      const names = inputsOf[reason] ?? []
      const given = names.map((name) =>
        code(`${name}: ${inputs[name].split(/\s*\n\s*/).join(', ')}`, 80)
      )
      return [
        `${reason}${given.length > 0 ? ` (${given.join(', ')})` : ''}`,
        resources.length,
        formatSize(held.get(reason) ?? 0),
        longest < 0 ? 'unknown' : formatDuration(longest)
      ]
    }
  )
  const head = [
    'reason',
    'resources',
    'image data held, at least',
    'longest idle'
  ]
  return `### Why the rest stays\n\n${table(head, rows)}`
}

/** The inputs that hold what stays for a reason. */
const inputsOf: Partial<Record<Reason, InputName[]>> = {
  'keep-last': ['keep-last'],
  recent: ['until'],
  'unknown-age': ['until'],
  'protected-label': ['protected-labels'],
  'protected-image': ['protected-images'],
  'named-volume': ['include-volumes']
}

function renderList(
  title: string,
  resources: readonly Resource[],
  open: boolean
): string {
  if (resources.length === 0) return ''
  const rows: string[][] = []
  let size = 0
  for (const one of resources) {
    const row = [
      nouns[one.kind],
      code(nameOf(one), 120),
      code(`${one.reason}: ${one.detail}`, 300),
      ...(open ? [describeBytes(one)] : [])
    ]
    size += Buffer.byteLength(row.join(' | '))
    if (size > longestList) break
    rows.push(row)
  }
  const more = resources.length - rows.length
  const rest =
    more > 0 ? `\n\n… and ${more} more: the report file has them all.` : ''
  const head = ['', 'name', 'why', ...(open ? ['bytes'] : [])]
  const body = `${table(head, rows)}${rest}`
  const state = open && resources.length <= 20 ? ' open' : ''
  return `<details${state}><summary>${title}: ${resources.length}</summary>\n\n${body}\n\n</details>`
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
  return references && references.length > 1 ? references.join(', ') : name
}

function describeBytes({ bytes, bytesAtMost }: Resource): string {
  if (bytes === null) return 'unknown'
  return bytesAtMost === undefined
    ? formatSize(bytes)
    : `${formatSize(bytes)}, up to ${formatSize(bytesAtMost)}`
}

function table(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[]
): string {
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/** Joins as many sections as GitHub takes, and says so where one had to be left out. */
function fit(sections: readonly string[]): string {
  const note = '… this summary was cut: the report file has everything.'
  let left = longestSummary - note.length - 2
  const fitting = sections.filter((section) => {
    const size = Buffer.byteLength(section) + 2
    const fits = size <= left
    if (fits) left -= size
    return fits
  })
  if (fitting.length < sections.length) fitting.push(note)
  return `${fitting.join('\n\n')}\n`
}
