import { formatTime, table } from './figures.ts'

/** A call of docker, with times in milliseconds since the start of the step. */
export type Call = { command: string; start: number; end: number }

/**
 * Reads calls from lines `start ID NANOSECONDS WORDS` and `end ID NANOSECONDS`. A killed call has no end and lasts until
 * the end of the step.
 */
export function readCalls(
  log: string,
  { origin, total }: { origin: number; total: number }
): Call[] {
  const calls = new Map<string, Call>()
  const ended: Call[] = []
  for (const line of log.split('\n').filter(Boolean)) {
    const [what, id = '', nanoseconds, ...words] = line.split(' ')
    const at = Number(nanoseconds) / 1_000_000 - origin
    const call = calls.get(id)
    if (what === 'start') {
      const command = words.join(' ')
      calls.set(id, { command, start: at, end: total })
    } else if (call !== undefined) {
      ended.push({ ...call, end: at })
      calls.delete(id)
    }
  }
  return [...ended, ...calls.values()].sort((a, b) => a.start - b.start)
}

/** The calls after the plan, which ends with its figures. */
export function callsAfterPlan(calls: readonly Call[]): Call[] {
  const figures = calls.filter(({ command }) => command === 'image history')
  const plan = Math.max(0, ...figures.map(({ end }) => end))
  return calls.filter(({ start }) => start >= plan)
}

/** Milliseconds from the start of the first removal of images to the end of the last one. */
export function removalTime(calls: readonly Call[]): number {
  const removals = removalsOf(calls)
  return (
    Math.max(...removals.map(({ end }) => end)) -
    Math.min(...removals.map(({ start }) => start))
  )
}

function removalsOf(calls: readonly Call[]): Call[] {
  return calls.filter(({ command }) => command === 'image rm')
}

/** Puts each call into the first free lane, so that calls in a lane do not overlap. */
export function lanesOf(calls: readonly Call[]): Call[][] {
  const lanes: Call[][] = []
  for (const call of calls) {
    const free = lanes.find((lane) => (lane.at(-1)?.end ?? 0) <= call.start)
    if (free) free.push(call)
    else lanes.push([call])
  }
  return lanes
}

/** Groups calls by command, the longest total time first. */
function byCommand(calls: readonly Call[]): [string, Call[]][] {
  const groups = Map.groupBy(calls, ({ command }) => command)
  return [...groups].sort(([, a], [, b]) => sum(b) - sum(a))
}

function sum(calls: readonly Call[]): number {
  return calls.reduce((total, { start, end }) => total + end - start, 0)
}

export function callTable(calls: readonly Call[]): string {
  const rows = byCommand(calls).map(([command, calls]) => [
    `\`docker ${command}\``,
    String(calls.length),
    formatTime(sum(calls)),
    formatTime(Math.min(...calls.map(({ start }) => start))),
    formatTime(Math.max(...calls.map(({ end }) => end)))
  ])
  return table(
    ['call', 'processes', 'total time', 'first start', 'last end'],
    rows
  )
}

const width = 1_000
const margin = 16
const laneHeight = 20
const legendColumns = 4
const legendHeight = 20
const textSize = 12
const otherCalls = 'other calls'
// These are visible on light and dark backgrounds.
const colors: Record<string, string> = {
  'image rm': '#d35452',
  'image inspect': '#4c8dd6',
  'image ls': '#3aa6a6',
  'image history': '#9673c9',
  'container ls': '#e08a2c',
  'container inspect': '#c9a227',
  'system df': '#d477ad',
  [otherCalls]: '#3fa55a',
  events: '#a3aab4'
}

/** Draws the calls over time as SVG. */
export function drawTimeline(
  calls: readonly Call[],
  { title, total }: { title: string; total: number }
): string {
  const keys = Object.keys(colors).flatMap((key) => {
    const own = calls.filter(({ command }) => keyOf(command) === key)
    return own.length > 0 ? [{ key, count: own.length }] : []
  })
  const lanes = lanesOf(calls)
  const legendRows = Math.ceil(keys.length / legendColumns)
  const top = margin + 2 * textSize + legendRows * legendHeight + 8
  const bottom = top + lanes.length * laneHeight
  const scale = (width - 2 * margin) / Math.max(total, 1)
  const bars = lanes.flatMap((lane, index) =>
    lane.map((call) => drawBar(call, scale, top + index * laneHeight))
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 40}" font-family="sans-serif" font-size="${textSize}" role="img">`,
    `<title>${escape(title)}</title>`,
    style,
    `<rect class="ground" width="${width}" height="${bottom + 40}"/>`,
    `<text x="${margin}" y="${margin + textSize}">${escape(title)}</text>`,
    ...keys.map(drawKey),
    ...drawAxis({ total, scale, top, bottom }),
    ...bars,
    '</svg>',
    ''
  ].join('\n')
}

const style = `<style>
.ground { fill: #fff } text { fill: #1f2328 } line { stroke: #d1d9e0 }
@media (prefers-color-scheme: dark) { .ground { fill: #0d1117 } text { fill: #f0f6fc } line { stroke: #3d444d } }
</style>`

function keyOf(command: string): string {
  return Object.hasOwn(colors, command) ? command : otherCalls
}

function drawBar(
  { command, start, end }: Call,
  scale: number,
  y: number
): string {
  const length = Math.max((end - start) * scale, 1)
  const words = `docker ${command}: ${formatTime(end - start)}`
  return `<rect fill="${colors[keyOf(command)] ?? ''}" x="${round(margin + start * scale)}" y="${y + 2}" width="${round(length)}" height="${laneHeight - 4}"><title>${escape(words)}</title></rect>`
}

function drawKey(
  { key, count }: { key: string; count: number },
  index: number
): string {
  const column = index % legendColumns
  const x = margin + (column * (width - 2 * margin)) / legendColumns
  const row = Math.floor(index / legendColumns)
  const y = margin + 2 * textSize + row * legendHeight
  const name = key === otherCalls ? key : `docker ${key}`
  const box = `<rect fill="${colors[key] ?? ''}" x="${x}" y="${y}" width="${textSize}" height="${textSize}"/>`
  return `${box}<text x="${x + textSize + 6}" y="${y + textSize - 2}">${escape(name)} (${count})</text>`
}

function drawAxis({
  total,
  scale,
  top,
  bottom
}: {
  total: number
  scale: number
  top: number
  bottom: number
}): string[] {
  const step = tickStep(total)
  const ticks = Array.from(
    { length: Math.floor(total / step) + 1 },
    (_, index) => index * step
  )
  return ticks.map((tick) => {
    const x = round(margin + tick * scale)
    const label = `${Number((tick / 1_000).toPrecision(3))} s`
    return `<line x1="${x}" y1="${top}" x2="${x}" y2="${bottom + 6}"/><text x="${x}" y="${bottom + 22}" text-anchor="middle">${label}</text>`
  })
}

/** Returns 1, 2 or 5 times a power of ten, so that the axis has at most ten steps. */
export function tickStep(total: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(total, 1) / 10))
  const factor = [1, 2, 5, 10].find((one) => one * power * 10 >= total) ?? 10
  return factor * power
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
