import type { InputTexts } from '../model/inputs.ts'
import { formatMinute, formatSize } from '../units.ts'
import { count } from '../words.ts'
import {
  countKinds,
  idleCell,
  inputCell,
  shownRows,
  sumCell,
  whatCell,
  whyCell
} from './cells.ts'
import { figure, folded, table } from './markdown.ts'
import type { Held } from './ownBytes.ts'
import type { Report, Resource } from './schema.ts'

/** Why resources are kept, when those of unknown age can be removed, and the largest of them. */
export function renderWhy(
  { resources, dryRun }: Report,
  inputs: InputTexts,
  held: readonly Held[]
): string {
  const kept = held.flatMap((one) => one.resources)
  if (kept.length === 0) return ''
  const what = kept.length === resources.length ? 'everything' : 'the rest'
  return folded(
    `Why ${what} ${dryRun ? 'would be' : 'is'} kept`,
    [
      renderReasons(inputs, held),
      describeEligible(kept),
      renderLargestKept(kept)
    ]
      .filter(Boolean)
      .join('\n\n')
  )
}

function renderReasons(inputs: InputTexts, held: readonly Held[]): string {
  return table(
    ['reason', 'resources', 'keeps:', 'idle for up to:'],
    held.map(({ reason, input, resources, bytes, unknown, idle }) => [
      input === undefined ? reason : `${reason} (${inputCell(input, inputs)})`,
      countKinds(resources).join(', '),
      sumCell(bytes, { unknown }),
      idleCell(idle)
    ])
  )
}

function describeEligible(kept: readonly Resource[]): string {
  const dates = kept
    .flatMap(({ eligibleFrom = [] }) => eligibleFrom)
    .map((date) => formatMinute(Date.parse(date)))
    .sort()
  const [first, last] = [dates[0], dates.at(-1)]
  if (first === undefined) return ''
  const all = first === last ? '' : ` (all of them from ${last})`
  return `Last use unknown: ${count(dates.length, 'resource')}. Can be removed from ${first}${all} if still unused.`
}

function renderLargestKept(kept: readonly Resource[]): string {
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
  return table(['largest', 'would free alone:', 'why'], rows)
}
