import { formatDuration, formatSize, sum } from '../units.ts'
import { count } from '../words.ts'
import { countKinds } from './cells.ts'
import { describeDisks } from './disks.ts'
import { estimate } from './markdown.ts'
import { goes, isOnlyStopped, type Report } from './schema.ts'

/** The result in a few words, for the log and the first line of the summary. */
export function headline(report: Report): string {
  const { totals, dryRun, resources, scope, pressure } = report
  const limit = (word: string) =>
    scope === 'engine' ? '' : ` ${word} ${scope}`
  const time = describeTime(
    Date.parse(report.finishedAt) - Date.parse(report.startedAt)
  )
  const rest = `${describeUnreadable(report)}${describeDisks(report)}`
  const closed = describeClosed(report)
  if (pressure?.open === false && !dryRun)
    return `Nothing to do: ${closed}.${rest}`
  if (totals.skipped)
    return `Nothing to do${limit('for')}: ${count(resources.length, 'resource')} inspected in ${time}.${rest}`
  const bytes = `${describeReclaimed(report)}${limit('from')}`
  const what = describeGoing(report) || 'nothing was removed'
  const failed =
    totals.failed > 0 ? ` ${count(totals.failed, 'removal')} failed.` : ''
  return dryRun
    ? `Would reclaim ${bytes}: ${what}. Planned in ${time}.${closed && ` A real run would do nothing now: ${closed}.`}${rest}`
    : `Reclaimed ${bytes} in ${time}: ${what}.${failed}${describeSpared(report)}${rest}`
}

/** What the target made unnecessary. */
function describeSpared({ resources }: Report): string {
  const { length } = resources.filter(
    ({ action, reason }) => action !== 'keep' && reason === 'target-reached'
  )
  return length > 0
    ? ` Target reached; not needed: ${count(length, 'planned removal')}.`
    : ''
}

/** Why nothing is removed at this free space; empty if something is. */
function describeClosed({ pressure }: Report): string {
  if (pressure?.open !== false) return ''
  const { whenFreeBelow, untilFreeAbove } = pressure
  return whenFreeBelow === undefined
    ? `enough space is free (until-free-above: ${untilFreeAbove ?? ''})`
    : `enough space is free (when-free-below: ${whenFreeBelow})`
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

/** `2 images, 1 volume; 3 references untagged`. */
function describeGoing({ resources, totals }: Report): string {
  const planned = resources
    .filter(({ outcome }) => outcome === 'planned')
    .map(({ removedReferences = [] }) => removedReferences.length)
  const stopped = resources.filter(isOnlyStopped).length
  const untagged = totals.untaggedReferences + sum(planned)
  return [
    countKinds(resources.filter(goes)).join(', '),
    untagged > 0 ? `${count(untagged, 'reference')} untagged` : '',
    stopped > 0 ? `${count(stopped, 'container')} stopped` : ''
  ]
    .filter(Boolean)
    .join('; ')
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
