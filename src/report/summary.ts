import type { Disk } from '../docker/disk.ts'
import type { Policy } from '../policy/policy.ts'
import { formatDuration, formatSize } from '../units.ts'
import type { Report, Resource } from './report.ts'
import { code, count } from './text.ts'

export type SummaryFacts = {
  report: Report
  policy: Policy
  disk: { before: Disk | undefined; after: Disk | undefined }
  /** What removing all that stays for a reason would free, in bytes. */
  held: ReadonlyMap<string, number>
  warnings: readonly string[]
  /** The error that ended the run early. */
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
  const { totals, dryRun } = report
  const going = report.resources.filter(({ outcome }) =>
    ['removed', 'planned', 'untagged'].includes(outcome)
  )
  const milliseconds =
    Date.parse(report.finishedAt) - Date.parse(report.startedAt)
  const short = milliseconds < 120_000
  const took = `in ${short ? `${(milliseconds / 1_000).toFixed(1)} s` : formatDuration(milliseconds)}`
  if (totals.skipped)
    return `Nothing to ${dryRun ? 'reclaim' : 'do'}: ${count(report.resources.length, 'resource')} looked at ${took}.`
  const what = Object.entries(nouns).flatMap(([kind, noun]) => {
    const number = going.filter(
      (one) => one.kind === kind && one.action === 'remove'
    ).length
    if (number === 0) return []
    return kind === 'build-cache' ? [noun] : [count(number, noun)]
  })
  const untagged = dryRun
    ? going.reduce(
        (sum, one) =>
          sum +
          (one.action === 'untag' ? (one.removedReferences?.length ?? 0) : 0),
        0
      )
    : totals.untaggedReferences
  if (untagged > 0) what.push(count(untagged, 'reference'))
  const bytes = formatSize(dryRun ? totals.plannedBytes : totals.reclaimedBytes)
  const most = going.reduce(
    (sum, one) => sum + (one.bytesAtMost ?? one.bytes ?? 0),
    0
  )
  const upTo =
    dryRun && most > totals.plannedBytes ? ` (up to ${formatSize(most)})` : ''
  const failed = totals.failed > 0 ? ` ${totals.failed} failed.` : ''
  return (
    `${dryRun ? 'Would reclaim' : 'Reclaimed'} ${bytes}${upTo}: ` +
    `${what.length > 0 ? what.join(', ') : 'nothing went'} ${took}.${failed}${describeDisk(disk, dryRun)}`
  )
}

function describeDisk(
  { before, after }: SummaryFacts['disk'],
  dryRun: boolean
): string {
  if (before === undefined || after === undefined) return ''
  if (dryRun) return ` Disk ${usedShare(before)} used.`
  return ` Disk ${usedShare(before)} → ${usedShare(after)}.`
}

function usedShare({ free, size }: Disk): string {
  return `${Math.round((1 - free / size) * 100)} %`
}

/** The job summary in GitHub's Markdown, always below 1 MiB: lists that are cut say how many more there are. */
export function renderSummary(facts: SummaryFacts): string {
  const { report, disk, warnings, error } = facts
  const { resources, dryRun, engine } = report
  const sections = [
    '## Docker Reclaim',
    `**${headline(facts)}**`,
    ...(error === undefined ? [] : [`> [!CAUTION]\n> ${code(error, 2_000)}`]),
    renderWarnings(warnings),
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
    `Engine ${code(engine.name)}, Docker ${code(engine.version)}, image store ${code(engine.store)}.` +
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
  const lines = error.split('\n').map((line) => `> ${code(line, 2_000)}`)
  return fit([
    '## Docker Reclaim',
    '**Nothing was removed.**',
    `> [!CAUTION]\n${lines.join('\\\n')}`
  ])
}

function renderKinds(resources: readonly Resource[], dryRun: boolean): string {
  const rows = Object.entries(nouns).flatMap(([kind, noun]) => {
    const ofKind = resources.filter((one) => one.kind === kind)
    if (ofKind.length === 0) return []
    const number = (outcomes: Resource['outcome'][]) =>
      ofKind.filter(
        ({ action, outcome }) =>
          action !== 'untag' && outcomes.includes(outcome)
      ).length
    const untagged = ofKind.filter(
      ({ action, outcome }) => action === 'untag' && outcome !== 'failed'
    ).length
    const bytes = ofKind.reduce((sum, one) => sum + (one.bytes ?? 0), 0)
    const unknown = ofKind.some((one) => one.bytes === null)
    return [
      [
        kind === 'build-cache' ? noun : `${noun}s`,
        number(['removed', 'planned']),
        number(['kept']) + untagged,
        number(['gone']),
        number(['failed']),
        bytes === 0 && unknown
          ? 'unknown'
          : `${formatSize(bytes)}${unknown ? ' or more' : ''}`
      ]
    ]
  })
  return table(
    [
      '',
      dryRun ? 'would go' : 'removed',
      'stay',
      'gone already',
      'failed',
      dryRun ? 'would free' : 'freed'
    ],
    rows
  )
}

/** Why what stays does stay, counted, with what it holds, and the input that held it. */
function renderReasons({ report, policy, held }: SummaryFacts): string {
  const reasons = new Map<string, Resource[]>()
  for (const one of report.resources)
    if (one.outcome === 'kept')
      reasons.set(one.reason, [...(reasons.get(one.reason) ?? []), one])
  if (reasons.size === 0) return ''
  const rows = [...reasons].map(([reason, resources]) => {
    const longest = Math.max(...resources.map(({ idle }) => idle ?? -1))
    return [
      `${reason}${describeInput(reason, policy)}`,
      resources.length,
      formatSize(held.get(reason) ?? 0),
      longest < 0 ? 'unknown' : formatDuration(longest)
    ]
  })
  return `### Why the rest stays\n\n${table(['reason', 'resources', 'image data held', 'longest idle'], rows)}`
}

/** The input that holds what stays for a reason, as it was given. */
function describeInput(reason: string, policy: Policy): string {
  const until =
    'duration' in policy.until
      ? formatDuration(policy.until.duration)
      : new Date(policy.until.time).toISOString()
  const inputs: Record<string, string> = {
    'keep-last': `keep-last: ${policy.keepLast}`,
    recent: `until: ${until}`,
    'unknown-age': `until: ${until}`,
    'protected-label': 'protected-labels',
    'protected-image': 'protected-images',
    'named-volume': 'include-volumes',
    'not-included': 'include-…'
  }
  const input = inputs[reason]
  return input === undefined ? '' : ` (${code(input)})`
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
      describeBytes(one)
    ]
    size += Buffer.byteLength(row.join(' | '))
    if (size > longestList) break
    rows.push(row)
  }
  const more = resources.length - rows.length
  const rest =
    more > 0 ? `\n\n… and ${more} more: the report file has them all.` : ''
  const body = `${table(['', 'name', 'why', 'bytes'], rows)}${rest}`
  const state = open && resources.length <= 20 ? ' open' : ''
  return `<details${state}><summary>${title}: ${resources.length}</summary>\n\n${body}\n\n</details>`
}

/** What a reader knows it by: all references of an image that goes, or those that it loses. */
export function nameOf({
  name,
  references,
  removedReferences,
  action
}: Resource): string {
  if (action === 'untag' && removedReferences)
    return removedReferences.join(', ')
  return references && references.length > 1 ? references.join(', ') : name
}

function describeBytes({ bytes, bytesAtMost, outcome }: Resource): string {
  if (outcome === 'kept') return ''
  if (bytes === null) return 'unknown'
  return bytesAtMost === undefined
    ? formatSize(bytes)
    : `${formatSize(bytes)} to ${formatSize(bytesAtMost)}`
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
