import type { InputTexts } from '../model/inputs.ts'
import { formatDuration, formatMinute, formatSize } from '../units.ts'
import { count } from '../words.ts'
import { shownRows, sumCell, whatCell, whyCell } from './cells.ts'
import { figure, table } from './markdown.ts'
import type { HeldBytes } from './ownBytes.ts'
import type { Report, Resource } from './schema.ts'
import { code } from './text.ts'

/** Why resources stay, when those of unknown age can go, and the largest of them. */
export function renderStays(
  { resources, dryRun }: Report,
  inputs: InputTexts,
  held: HeldBytes
): string {
  const kept = resources.filter(({ outcome }) => outcome === 'kept')
  if (kept.length === 0) return ''
  const what = kept.length === resources.length ? 'everything' : 'the rest'
  const title = `Why ${what} ${dryRun ? 'would stay' : 'stays'}`
  return [
    `### ${title}\n\n${renderReasons(kept, inputs, held)}`,
    describeEligible(kept),
    renderLargestKept(kept, dryRun)
  ]
    .filter(Boolean)
    .join('\n\n')
}

function renderReasons(
  kept: readonly Resource[],
  inputs: InputTexts,
  held: HeldBytes
): string {
  const rows = [...Map.groupBy(kept, ({ reason }) => reason)]
    .map(([reason, group]) => ({
      reason,
      group,
      ...(held.get(reason) ?? { bytes: 0, unknown: false })
    }))
    .sort((a, b) => b.bytes - a.bytes || b.group.length - a.group.length)
    .map(({ reason, group, bytes, unknown }) => [
      [reason, ...inputCells(group, inputs)].join(' '),
      group.length,
      sumCell(bytes, { unknown }),
      describeIdle(Math.max(...group.map(({ idle }) => idle ?? -1)))
    ])
  return table(['reason', 'resources:', 'hold:', 'longest idle:'], rows)
}

function inputCells(
  resources: readonly Resource[],
  inputs: InputTexts
): string[] {
  const names = [...new Set(resources.flatMap(({ heldBy }) => heldBy ?? []))]
  const given = names.map((name) =>
    code(`${name}: ${inputs[name].split(/\s*\n\s*/).join(', ')}`, 80)
  )
  return given.length > 0 ? [`(${given.join(', ')})`] : []
}

function describeIdle(milliseconds: number): string {
  return milliseconds < 0 ? 'unknown' : figure(formatDuration(milliseconds))
}

function describeEligible(kept: readonly Resource[]): string {
  const dates = kept
    .flatMap(({ eligibleFrom = [] }) => eligibleFrom)
    .map((date) => formatMinute(Date.parse(date)))
    .sort()
  const [first, last] = [dates[0], dates.at(-1)]
  if (first === undefined) return ''
  const all = first === last ? '' : `, the last of them from ${last}`
  return `Last use unknown: ${count(dates.length, 'resource')}. If they stay unused, they can go from ${first} on${all}.`
}

function renderLargestKept(kept: readonly Resource[], dryRun: boolean): string {
  const largest = kept
    .filter(
      ({ ownBytes = 0, reason }) => ownBytes > 0 && reason !== 'out-of-scope'
    )
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
