import { type Disk, isLow } from '../model/disks.ts'
import type { InputName, InputTexts } from '../model/inputs.ts'
import type { Inventory } from '../model/inventory.ts'
import { contentsOf } from '../model/kinds.ts'
import { type Message, messages } from '../model/messages.ts'
import { type Plan, plannedItems } from '../model/plan.ts'
import type { Policy } from '../model/policy.ts'
import { describeFree } from '../report/disks.ts'
import { heldByInput } from '../report/ownBytes.ts'
import type { Report } from '../report/schema.ts'
import { formatSize } from '../units.ts'

type Pressure = Pick<Policy, 'whenFreeBelow' | 'untilFreeAbove'>

/** The gate and the target of a run, for the report. */
export function describePressure(
  { whenFreeBelow, untilFreeAbove }: Pressure,
  texts: InputTexts,
  disks: Report['disks'],
  closed: boolean
): Report['pressure'] {
  if (!whenFreeBelow && !untilFreeAbove) return undefined
  return {
    ...(whenFreeBelow && { whenFreeBelow: texts['when-free-below'] }),
    open: !closed,
    ...(untilFreeAbove && {
      untilFreeAbove: texts['until-free-above'],
      targetReached: !disks.some(({ before, after = before }) =>
        isLow(after, untilFreeAbove)
      )
    })
  }
}

/** A warning for each low disk on which nothing planned frees space. */
export function warnOfDisks(
  plan: Plan,
  disks: readonly Disk[],
  { whenFreeBelow, untilFreeAbove }: Pressure
): Message[] {
  const wanted = untilFreeAbove ?? whenFreeBelow
  if (wanted === undefined) return []
  const freed = new Set(
    plannedItems(plan).flatMap(({ kind }) => contentsOf(kind))
  )
  return disks
    .filter(({ before }) => isLow(before, wanted))
    .filter(({ holds }) => !holds.some((content) => freed.has(content)))
    .map(({ path, before }) =>
      messages.nothingOnDisk(path, describeFree(before))
    )
}

/** A warning about a target that was not reached, with the inputs that hold most on the disks concerned. */
export function warnOfTarget(
  { pressure, dryRun, disks, resources }: Report,
  { untilFreeAbove }: Pressure,
  texts: InputTexts,
  inventory: Pick<Inventory, 'images'>
): Message[] {
  if (dryRun || !untilFreeAbove || pressure?.targetReached !== false) return []
  // Whatever ended the run early is the reason.
  if (!pressure.open || resources.some(({ reason }) => reason === 'budget'))
    return []
  const low = disks.filter(({ before, after = before }) =>
    isLow(after, untilFreeAbove)
  )
  const contents = new Set(low.flatMap(({ holds }) => holds))
  const there = resources.filter(
    ({ kind, outcome }) =>
      outcome !== 'kept' || contentsOf(kind).some((one) => contents.has(one))
  )
  const holders = heldByInput(inventory, there).flatMap(({ input, bytes }) =>
    input !== undefined && bytes > 0
      ? [`${describeInput(input, texts)} holds ${formatSize(bytes)}`]
      : []
  )
  const free = low.map(
    ({ path, before, after = before }) => `${describeFree(after)} on ${path}`
  )
  return [
    messages.targetNotReached(
      texts['until-free-above'],
      free.join(', '),
      holders.length > 0
        ? `${holders.slice(0, 3).join('; ')}.`
        : 'No input holds anything more there.'
    )
  ]
}

/** As a workflow sets it, if that fits in a line. */
function describeInput(input: InputName, texts: InputTexts): string {
  const text = texts[input]
  return text.length > 40 || text.includes('\n') ? input : `${input}: ${text}`
}
