import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  formatDuration,
  formatSize,
  parseDuration,
  parseHumanAge,
  parseSize,
  parseTime
} from '../src/units.ts'

const hour = 3_600_000

test.each([
  ['0s', 0],
  ['0', 0],
  ['36h', 36 * hour],
  ['7d', 7 * 24 * hour],
  ['1w2d', 9 * 24 * hour],
  ['1h30m', 1.5 * hour],
  ['1.5h', 1.5 * hour],
  ['.5s', 500],
  ['300ms', 300],
  ['1us', 0.001],
  ['1µs', 0.001],
  ['1m1h', hour + 60_000]
])('duration %s', (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds)
})

test.each([
  '',
  '10',
  '10 days',
  '-1h',
  '1 h',
  '1h ',
  'h',
  '1x',
  '1y',
  '1h30',
  '1e3s',
  'Infinity',
  '9999999w',
  '1..5h',
  '.h',
  '１h'
])('not a duration: %j', (text) => {
  expect(parseDuration(text)).toBeUndefined()
})

test('a formatted duration is rounded down', () => {
  const units = { s: 1_000, min: 60_000, h: hour, days: 24 * hour }
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 40 }), (milliseconds) => {
      const [number, unit] = formatDuration(milliseconds).split(' ')
      const shown = Number(number) * units[unit as keyof typeof units]
      expect(shown).toBeLessThanOrEqual(milliseconds)
      expect(milliseconds - shown).toBeLessThan(
        units[unit as keyof typeof units]
      )
    })
  )
})

test.each([
  ['2026-01-31', Date.UTC(2026, 0, 31)],
  ['2026-01-31T12:00:00Z', Date.UTC(2026, 0, 31, 12)],
  ['2026-01-31T12:00:00+02:00', Date.UTC(2026, 0, 31, 10)],
  ['2026-01-31t12:00:00z', Date.UTC(2026, 0, 31, 12)],
  ['2026-01-31T12:00:00.25Z', Date.UTC(2026, 0, 31, 12) + 250]
])('time %s', (text, instant) => {
  expect(parseTime(text)).toBe(instant)
})

test.each([
  '',
  '2026',
  '2026-02-30',
  '2026-13-01',
  '2026-01-31T25:00:00Z',
  '2026-01-31 12:00',
  '31.1.2026',
  'now',
  '1738324800'
])('not a time: %j', (text) => {
  expect(parseTime(text)).toBeUndefined()
})

test('times keep their order at microsecond resolution', () => {
  const [first = 0, second = 0] = [
    '2026-01-31T12:00:00.123456Z',
    '2026-01-31T12:00:00.123457Z'
  ].map(parseTime)
  expect(second).toBeGreaterThan(first)
})

test.each([
  ['10GB', 1e10],
  ['20GiB', 20 * 2 ** 30],
  ['1.5 MB', 1.5e6],
  ['4.194MB', 4_194_000],
  ['0B', 0],
  ['0', 0],
  ['8.19kB', 8_190],
  ['1e+03kB', 1e6]
])('size %s', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes)
})

test.each(['', '10', '-1GB', '10 G', 'GB', '10XB', 'N/A', '1e400GB', '10GB!'])(
  'not a size: %j',
  (text) => {
    expect(parseSize(text)).toBeUndefined()
  }
)

test('sizes are formatted for people', () => {
  expect(formatSize(12_400_000_000)).toBe('12.4 GB')
  expect(formatSize(0)).toBe('0 B')
})

test.each([
  ['Less than a second ago', 0, 1_000],
  ['1 second ago', 500, 2_000],
  ['About a minute ago', 30_000, 120_000],
  ['About an hour ago', 0.5 * hour, 2 * hour],
  ['3 weeks ago', 2.5 * 7 * 24 * hour, 4 * 7 * 24 * hour]
])('Docker’s relative time %s', (text, least, most) => {
  expect(parseHumanAge(text)).toEqual({ least, most })
})

test('not a relative time', () => {
  expect(parseHumanAge('')).toBeUndefined()
  expect(parseHumanAge('yesterday')).toBeUndefined()
})
