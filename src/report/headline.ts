import { kinds, kindsToRead } from '../model/kinds.ts'
import { formatDuration, formatSize, sum } from '../units.ts'
import { count } from '../words.ts'
import { describeDisks } from './disks.ts'
import { estimate } from './markdown.ts'
import { goes, type Report } from './schema.ts'

/** The result in one sentence, for the log and the first line of the summary. */
export function headline(report: Report): string {
  const { totals, dryRun, resources, scope } = report
  const limited = scope !== 'engine'
  const took = `in ${describeTime(
    Date.parse(report.finishedAt) - Date.parse(report.startedAt)
  )}`
  if (totals.skipped)
    return `Nothing to do${limited ? ` for ${scope}` : ''}: ${count(resources.length, 'resource')} looked at ${took}.${describeUnreadable(report)}`
  const what = describeGoing(report).join(', ') || 'nothing went'
  const failed = totals.failed > 0 ? ` ${totals.failed} failed.` : ''
  return (
    `${dryRun ? 'Would reclaim' : 'Reclaimed'} ${describeReclaimed(report)}${limited ? ` of ${scope}` : ''}: ` +
    `${what} ${took}.${failed}${describeUnreadable(report)}${describeDisks(report)}`
  )
}

function describeReclaimed(report: Report): string {
  const { totals, dryRun, resources } = report
  const going = resources.filter(goes)
  const bytes = dryRun ? totals.plannedBytes : totals.reclaimedBytes
  const unknown = going.some(
    (one) => one.bytes === null && one.bytesAtMost === undefined
  )
  if (bytes === 0 && unknown) return 'an unknown amount'
  const estimated = going.some((one) => one.estimated)
  const more = unknown ? ' or more' : upTo(report)
  return `${estimate(formatSize(bytes), estimated)}${more}`
}

/** In a dry run, the bytes that are possible beyond the certain ones. */
function upTo({ resources, totals }: Report): string {
  const planned = resources.filter(({ outcome }) => outcome === 'planned')
  const most = sum(
    planned.map(({ bytes, bytesAtMost }) => bytesAtMost ?? bytes ?? 0)
  )
  return most > totals.plannedBytes ? ` (up to ${formatSize(most)})` : ''
}

/** Counts by kind: `1 image`, `2 containers`. */
function describeGoing({ resources, totals }: Report): string[] {
  const going = resources.filter(goes)
  const planned = resources
    .filter(({ outcome }) => outcome === 'planned')
    .map(({ removedReferences = [] }) => removedReferences.length)
  const untagged = totals.untaggedReferences + sum(planned)
  return [
    ...kindsToRead.flatMap((kind) => {
      const { noun } = kinds[kind]
      const number = going.filter((one) => one.kind === kind).length
      if (number === 0) return []
      return kind === 'build-cache' ? [noun] : [count(number, noun)]
    }),
    ...(untagged > 0 ? [count(untagged, 'reference')] : [])
  ]
}

/** `3.4 s`, `21 s`, `7 min`. */
function describeTime(milliseconds: number): string {
  return milliseconds < 9_950
    ? `${(milliseconds / 1_000).toFixed(1)} s`
    : formatDuration(milliseconds)
}

function describeUnreadable({ resources }: Report): string {
  const { length } = resources.filter(({ reason }) => reason === 'unreadable')
  return length > 0 ? ` ${length} could not be inspected.` : ''
}
