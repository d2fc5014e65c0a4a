import type { InputName, InputTexts } from '../model/inputs.ts'
import { parseDuration, parseTime } from '../units.ts'
import { countKinds, idleCell, inputCell, shownRows, sumCell } from './cells.ts'
import { table } from './markdown.ts'
import type { Held } from './ownBytes.ts'
import type { Report } from './schema.ts'

/** How to change an input so that it keeps less, or its values that do. The scope is no such input. */
const changes: Partial<Record<InputName, string | readonly string[]>> = {
  'keep-last': 'a smaller number',
  until: 'a shorter time',
  'age-from': ['last-used'],
  'protected-labels': 'fewer labels',
  'protected-images': 'fewer patterns',
  rules: 'shorter times, smaller numbers or fewer keep lines',
  'max-removals': 'a larger number, if the plan is right',
  'include-containers': ['true'],
  'include-images': ['true'],
  'include-networks': ['true'],
  'include-volumes': ['anonymous', 'all'],
  'include-builders': ['stopped', 'all'],
  'include-build-cache': ['true'],
  'build-cache-keep': 'a smaller size',
  timeout: 'a longer time, or run again'
}

/** What to change to free more: the inputs that keep most, largest first. */
export function renderChanges(
  report: Report,
  inputs: InputTexts,
  held: readonly Held[]
): string {
  const until = untilOf(report, inputs)
  const rows = held.flatMap((one) => {
    const { input, resources, bytes, unknown, idle } = one
    const change = input && describeChange(input, inputs)
    if (!input || change === undefined || (bytes === 0 && !unknown)) return []
    return [
      [
        inputCell(input, inputs),
        isAlsoRecent(one, until)
          ? `${change}, and a shorter \`until\``
          : change,
        sumCell(bytes, { unknown }),
        countKinds(resources).join(', '),
        idleCell(idle)
      ]
    ]
  })
  if (rows.length === 0) return ''
  const head = ['input', 'change to', 'keeps:', 'resources', 'idle for up to:']
  return `### What to change to free more\n\n${table(head, rows.slice(0, shownRows))}`
}

function describeChange(
  input: InputName,
  inputs: InputTexts
): string | undefined {
  const change = changes[input]
  if (typeof change !== 'object') return change
  const values =
    inputs[input].toLowerCase() === 'false' ? change : change.slice(-1)
  return values.map((value) => `\`${value}\``).join(' or ')
}

/** Whether `until` would keep all of it, too. It has no say over the planned removals of a run that ended early. */
function isAlsoRecent(
  { input, resources, idle = 0 }: Held,
  until: number
): boolean {
  return (
    !['until', 'rules'].includes(input ?? '') &&
    idle < until &&
    resources.every(
      ({ kind, action }) => action === 'keep' && kind !== 'build-cache'
    )
  )
}

/** `until` in milliseconds; 0 in scopes that may ignore it. */
function untilOf({ scope, startedAt }: Report, { until }: InputTexts): number {
  if (scope !== 'engine') return 0
  const time = parseTime(until)
  return time === undefined
    ? (parseDuration(until) ?? 0)
    : Date.parse(startedAt) - time
}
