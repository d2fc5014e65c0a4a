/** Milliseconds that a contender needed, one per round. */
export type Series = { name: string; times: number[] }

/** A figure and its upper limit, or with `atLeast` its lower limit. */
export type Goal = {
  name: string
  value: number
  limit: number
  unit: keyof typeof units
  atLeast?: boolean
}

const units = {
  ratio: (value: number) => `${value.toFixed(2)} ×`,
  exponent: (value: number) => value.toFixed(2),
  count: (value: number) => String(value),
  share: (value: number) => `${(value * 100).toFixed(1)} %`,
  time: formatTime,
  memory: formatMemory
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? NaN
  const lower = sorted[Math.ceil(middle) - 1] ?? NaN
  return (lower + upper) / 2
}

/** Returns the order of each round. Contenders alternate in being first. */
export function ordersOf<T>(contenders: readonly T[], rounds: number): T[][] {
  return Array.from({ length: rounds }, (_, round) => {
    const first = round % Math.max(contenders.length, 1)
    return [...contenders.slice(first), ...contenders.slice(0, first)]
  })
}

/** Fits time = c · size^k by least squares of the logarithms; returns k. */
export function exponent(
  points: readonly { size: number; time: number }[]
): number {
  const logs = points.map(({ size, time }) => ({
    x: Math.log(size),
    y: Math.log(time)
  }))
  const mean = (values: number[]) =>
    values.reduce((sum, value) => sum + value, 0) / values.length
  const x = mean(logs.map((log) => log.x))
  const y = mean(logs.map((log) => log.y))
  return (
    mean(logs.map((log) => (log.x - x) * (log.y - y))) /
    mean(logs.map((log) => (log.x - x) ** 2))
  )
}

export function formatTime(milliseconds: number): string {
  if (milliseconds < 1_000) return `${milliseconds.toFixed(0)} ms`
  const seconds = milliseconds / 1_000
  return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`
}

export function formatMemory(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(0)} MB`
}

/** Makes a Markdown table whose columns are figures, except the first. */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[]
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const rule = header.map((_, index) => (index === 0 ? '---' : '--:'))
  return [line(header), line(rule), ...rows.map(line)].join('\n')
}

/** Makes a table of medians, ranges, and ratios to the median of `base`. */
export function seriesTable(
  series: readonly Series[],
  { of, base }: { of: string; base: string }
): string {
  const compared = series.find(({ name }) => name === base)
  const rows = series.map(({ name, times }) => [
    name,
    String(times.length),
    formatTime(median(times)),
    `${formatTime(Math.min(...times))} – ${formatTime(Math.max(...times))}`,
    compared
      ? units.ratio(median(times) / median(compared.times))
      : 'not measured'
  ])
  return table([of, 'rounds', 'median', 'least – most', `to ${base}`], rows)
}

export function goalTable(goals: readonly Goal[]): string {
  const rows = goals.map(({ name, value, limit, unit, atLeast = false }) => {
    const met = atLeast ? value >= limit : value <= limit
    return [
      name,
      units[unit](value),
      `${atLeast ? 'at least' : 'at most'} ${units[unit](limit)}`,
      met ? 'met' : '**not met**'
    ]
  })
  return rows.length > 0 ? table(['goal', 'measured', 'limit', ''], rows) : ''
}

/** Makes a goal for the ratio of two contenders' medians; none if one was not measured. */
export function ratioGoal(
  series: readonly Series[],
  [name, base]: readonly [string, string],
  limit: number
): Goal[] {
  const [own, other] = [name, base].map((wanted) =>
    series.find((one) => one.name === wanted)
  )
  if (own === undefined || other === undefined) return []
  const value = median(own.times) / median(other.times)
  return [{ name: `${name}, to ${base}`, value, limit, unit: 'ratio' }]
}
