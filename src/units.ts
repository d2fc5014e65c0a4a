import prettyBytes from 'pretty-bytes'

const millisecondsPer: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3, // U+00B5, the micro sign
  μs: 1e-3, // U+03BC, the Greek letter
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000
}

/** Milliseconds: Go durations end at 2^63 ns, about 292 years. */
export const longestDuration = 2 ** 63 / 1e6

/** Milliseconds of a Go duration (`1h30m`), also in `d` and `w`; undefined if it is invalid, negative or too long. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  const parts = [
    ...text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|[smhdw])/gy)
  ]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text)
    return undefined
  let total = 0
  for (const [, number = '', unit = ''] of parts)
    total += Number(number) * (millisecondsPer[unit] ?? NaN)
  return total < longestDuration ? total : undefined
}

/** A duration for people, rounded down: `45 s`, `3 min`, `5 h`, `12 days`. */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1_000
  if (seconds < 120) return `${Math.floor(seconds)} s`
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`
  return `${Math.floor(seconds / 86_400)} days`
}

/** Milliseconds since 1970 of an RFC 3339 time or a date; undefined if invalid. Their fraction orders quick builds. */
export function parseTime(text: string): number | undefined {
  const match =
    /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d))?$/i.exec(
      text
    )
  if (match === null) return undefined
  const [, date = '', time = '00:00:00', fraction = '0', zone = 'Z'] = match
  // Date.parse reads 30 February as 2 March.
  const midnight = new Date(`${date}T00:00:00Z`)
  const real = !Number.isNaN(midnight.getTime())
  if (!real || midnight.toISOString().slice(0, 10) !== date) return undefined
  const seconds = Date.parse(`${date}T${time}${zone.toUpperCase()}`)
  return Number.isNaN(seconds) ? undefined : seconds + Number(fraction) * 1_000
}

const bytesPer: Record<string, number> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  pb: 1e15,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
  pib: 2 ** 50
}

/** Bytes of a size (`10GB`, `1.5 GiB`); undefined if it is invalid, such as a number other than 0 without a unit. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?(?:e[+-]?\d+)?) ?([kmgtp]?i?b)?$/i.exec(text)
  if (match === null) return undefined
  const [, number = '', unit] = match
  if (unit === undefined) return Number(number) === 0 ? 0 : undefined
  const factor = bytesPer[unit.toLowerCase()]
  if (factor === undefined) return undefined
  const bytes = Math.round(Number(number) * factor)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** A time for people: `2026-01-31 12:40 UTC`. */
export function formatMinute(instant: number): string {
  return `${new Date(instant).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

/** Bytes for people, in decimal units as Docker prints them: `12.4 GB`. */
export function formatSize(bytes: number): string {
  return prettyBytes(bytes)
}

const humanUnits: Record<string, number> = {
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
  month: 30 * 86_400_000,
  year: 365 * 86_400_000
}

/** Milliseconds since a time in Docker's words (`About an hour ago`), at least and at most; undefined if invalid. */
export function parseHumanAge(
  text: string
): { least: number; most: number } | undefined {
  if (text === 'Less than a second ago') return { least: 0, most: 1_000 }
  const match =
    /^(?:About an?|(\d+)) (second|minute|hour|day|week|month|year)s? ago$/.exec(
      text
    )
  if (match === null) return undefined
  const [, count = '1', name = ''] = match
  const unit = humanUnits[name] ?? NaN
  // Docker rounds some of these down, and others up by half a unit at most.
  return {
    least: (Number(count) - 0.5) * unit,
    most: (Number(count) + 1) * unit
  }
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
