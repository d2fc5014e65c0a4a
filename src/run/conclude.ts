import { readSpace } from '../host/disk.ts'
import type { Disk } from '../model/disks.ts'
import { defaults, type InputTexts } from '../model/inputs.ts'
import type { Inventory } from '../model/inventory.ts'
import type { Removal } from '../model/outcome.ts'
import type { Plan } from '../model/plan.ts'
import type { Report } from '../report/schema.ts'
import { unneededVolumes } from './look.ts'
import { formatDuration } from '../units.ts'
import { count } from '../words.ts'

/** Why the step has to fail although a report was made, or undefined. */
export function describeFailure(
  { resources, totals }: Report,
  removal: Removal | undefined,
  signal: AbortSignal
): string | undefined {
  if (signal.aborted)
    return 'The run was cancelled: the summary says what was done until then.'
  if (removal?.fatal !== undefined)
    return `The engine failed during the removal: ${removal.fatal.message}`
  const first = resources.find(({ outcome }) => outcome === 'failed')
  return (
    first &&
    `${count(totals.failed, 'planned removal')} failed. ` +
      `The first: ${first.kind} ${first.name}: ${first.detail}`
  )
}

export function warnEarly(
  { items, unmatched }: Plan,
  { withoutVolumes }: Inventory,
  dryRun: boolean
): string[] {
  return [
    ...(withoutVolumes
      ? [
          `The volumes are not in this report: docker volume ls took longer than ${formatDuration(unneededVolumes)} (is a volume plugin not answering?). None would have been removed: include-volumes is false.`
        ]
      : []),
    ...unmatched
      // A default is there for whoever wants to use it, and most do not.
      .filter(
        ({ input, pattern }) => !defaults[input].split(', ').includes(pattern)
      )
      .map(({ input, pattern, nearest }) => {
        const hint =
          nearest === undefined
            ? 'Is it a typo?'
            : `Did you mean ${nearest}, which ${dryRun ? 'would' : 'is about to'} be removed?`
        return `${input}: nothing on this engine matches ${pattern}. ${hint}`
      }),
    ...items
      .filter(({ decision }) => decision.reason === 'unreadable')
      .map(
        ({ kind, name, decision }) =>
          `${kind} ${name} is kept: ${decision.detail}`
      )
  ]
}

export function warnLate({ resources }: Report, texts: InputTexts): string[] {
  const late = resources.filter(({ heldBy }) => heldBy === 'timeout').length
  const cache = resources.find(({ kind }) => kind === 'build-cache')
  return [
    ...(late > 0
      ? [
          `The time was up (timeout: ${texts.timeout}): ${count(late, 'planned removal')} not done.`
        ]
      : []),
    ...(cache?.reason === 'changed'
      ? [`The build cache was left as it is: ${cache.detail}`]
      : [])
  ]
}

export async function measureAgain(disk: Disk) {
  const after = await readSpace(disk.path)
  return { ...disk, ...(after && { after }) }
}
