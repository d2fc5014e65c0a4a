import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  exponent,
  goalTable,
  median,
  ordersOf,
  ratioGoal,
  seriesTable
} from '../../scripts/bench/figures.ts'
import { smallLoad, sweepLoad } from '../../scripts/bench/loads.ts'
import { parts, readOptions } from '../../scripts/bench/options.ts'
import { putTables } from '../../scripts/bench/page.ts'
import { judge } from '../../scripts/bench/renewals.ts'
import {
  callsAfterPlan,
  callTable,
  drawTimeline,
  lanesOf,
  readCalls,
  removalTime,
  tickStep
} from '../../scripts/bench/timeline.ts'

test('the median is the middle value, or the mean of the two in the middle', () => {
  expect(median([30, 1, 2])).toBe(2)
  expect(median([4, 1, 30, 2])).toBe(3)
  expect(median([7])).toBe(7)
  expect(median([])).toBeNaN()
})

test('every round measures all, and each comes first equally often', () => {
  expect(ordersOf(['a', 'b', 'c'], 4)).toEqual([
    ['a', 'b', 'c'],
    ['b', 'c', 'a'],
    ['c', 'a', 'b'],
    ['a', 'b', 'c']
  ])
})

test('the growth exponent is the power that the times follow', () => {
  const times = (power: number) =>
    [100, 300, 1_000, 3_000].map((size) => ({ size, time: 7 * size ** power }))
  fc.assert(
    fc.property(fc.double({ min: 0.1, max: 3, noNaN: true }), (power) => {
      expect(exponent(times(power))).toBeCloseTo(power, 6)
    })
  )
})

const series = [
  { name: 'own', times: [900, 1_100, 1_000] },
  { name: 'base', times: [2_000, 2_000, 12_345] }
]

test('a table has medians, ranges and ratios', () => {
  expect(seriesTable(series, { of: 'who', base: 'base' })).toBe(
    [
      '| who | rounds | median | least – most | to base |',
      '| --- | --: | --: | --: | --: |',
      '| own | 3 | 1.00 s | 900 ms – 1.10 s | 0.50 × |',
      '| base | 3 | 2.00 s | 2.00 s – 12.3 s | 1.00 × |'
    ].join('\n')
  )
  expect(seriesTable(series, { of: 'who', base: 'other' })).toContain(
    '| not measured |'
  )
})

test('a goal is met at its limit, but not beyond', () => {
  const goal = (limit: number, atLeast = false) =>
    goalTable(
      ratioGoal(series, ['own', 'base'], limit).map((one) => ({
        ...one,
        atLeast
      }))
    ).split('\n')[2]
  expect(goal(0.5)).toBe('| own, to base | 0.50 × | at most 0.50 × | met |')
  expect(goal(0.49)).toContain('**not met**')
  expect(goal(0.5, true)).toContain('| at least 0.50 × | met |')
  expect(goal(0.51, true)).toContain('**not met**')
  expect(ratioGoal(series, ['own', 'nobody'], 1)).toEqual([])
  const none = { name: 'lost', value: 0.001, limit: 0, unit: 'share' } as const
  expect(goalTable([none])).toContain(
    '| lost | 0.1 % | at most 0.0 % | **not met** |'
  )
})

test('1,000 of 1,100 images in 55 repositories are removed, and the two newest of each kept', () => {
  const { images, containers, staying } = sweepLoad(1_100)
  const builds = Map.groupBy(
    images,
    ({ references }) => references[0]?.split(':')[0] ?? ''
  )
  expect([images.length, builds.size, staying.length]).toEqual([1_100, 55, 100])
  const newest = [...builds.values()].flatMap((of) =>
    of
      .toSorted((a, b) => (a.created ?? '').localeCompare(b.created ?? ''))
      .slice(-2)
      .flatMap(({ references }) => references)
  )
  expect(staying.toSorted()).toEqual(newest.toSorted())
  expect(containers).toEqual(staying)
})

test('5 of 60 images are removed', () => {
  const { images, staying } = smallLoad()
  expect([images.length, staying.length]).toEqual([60, 55])
})

test('any number of images can be loaded, each with a unique name', () => {
  fc.assert(
    fc.property(fc.integer({ min: 5, max: 3_000 }), (number) => {
      const { images, staying } = sweepLoad(number)
      const names = new Set(images.flatMap(({ references }) => references))
      expect(names.size).toBe(number)
      expect(staying.filter((name) => !names.has(name))).toEqual([])
    })
  )
})

const log = [
  'start 11 1000100000000 image ls',
  'start 12 1000150000000 events',
  'end 11 1000300000000',
  'start 13 1000300000000 image rm',
  'start 14 1000400000000 image rm',
  'end 14 1000500000000',
  'end 13 1000900000000',
  ''
].join('\n')
const calls = readCalls(log, { origin: 1_000_000, total: 1_000 })

test('calls are read from the log, and unfinished ones last until the end', () => {
  expect(calls).toEqual([
    { command: 'image ls', start: 100, end: 300 },
    { command: 'events', start: 150, end: 1_000 },
    { command: 'image rm', start: 300, end: 900 },
    { command: 'image rm', start: 400, end: 500 }
  ])
  expect(callTable(calls).split('\n').slice(2)).toEqual([
    '| `docker events` | 1 | 850 ms | 150 ms | 1.00 s |',
    '| `docker image rm` | 2 | 700 ms | 300 ms | 900 ms |',
    '| `docker image ls` | 1 | 200 ms | 100 ms | 300 ms |'
  ])
})

test('the removal alone lasts from the start of the first one to the end of the last', () => {
  expect(removalTime(calls)).toBe(600)
})

test('the plan ends with the last of its figures', () => {
  const at = (start: number, command: string) => ({
    ...{ command, start, end: start + 1 }
  })
  const listing = [at(0, 'events'), at(1, 'image history')]
  const after = [at(2, 'container ls'), at(3, 'image rm')]
  expect(callsAfterPlan([...listing, ...after])).toEqual(after)
})

test('a renewal is lost late if its tag had ended more than 50 ms before the image was removed', () => {
  const renewals = ['stays', 'early', 'late', 'after', 'vanished'].map(
    (id) => ({ name: id, id, endedAt: 1_000, lost: id !== 'stays' })
  )
  const events = [
    ...renewals.map(({ id }) => `tag ${id} 995000000`),
    'delete early 1050000000',
    'delete late 1051000000',
    // The engine made this tag for an image that it had already deleted.
    'delete after 994000000'
  ].join('\n')
  expect(judge(renewals, events)).toEqual({ counted: 4, lost: 3, lostLate: 2 })
})

test('overlapping calls are in separate lanes, and there are no more lanes than needed', () => {
  expect(lanesOf(calls)).toEqual([[calls[0], calls[2]], [calls[1]], [calls[3]]])
  const anyCalls = fc.array(
    fc
      .tuple(fc.nat(100), fc.integer({ min: 1, max: 50 }))
      .map(([start, length]) => ({ command: '', start, end: start + length }))
  )
  fc.assert(
    fc.property(anyCalls, (unsorted) => {
      const calls = unsorted.toSorted((a, b) => a.start - b.start)
      const lanes = lanesOf(calls)
      expect(lanes.flat()).toHaveLength(calls.length)
      for (const lane of lanes)
        for (const [index, call] of lane.entries())
          expect(call.start).toBeGreaterThanOrEqual(lane[index - 1]?.end ?? 0)
      const atOnce = calls.map(
        ({ start }) =>
          calls.filter((one) => one.start <= start && start < one.end).length
      )
      expect(lanes).toHaveLength(Math.max(0, ...atOnce))
    })
  )
})

test('the chart has a labelled bar for every call, in the colour of its command', () => {
  const svg = drawTimeline(calls, { title: 'a <b> & c', total: 1_000 })
  expect(svg).toContain('<title>a &lt;b> &amp; c</title>')
  expect(svg.match(/<title>docker image rm: /g)).toHaveLength(2)
  // From 300 to 900 of 1,000 ms, on 968 of 1,000 units.
  expect(svg).toMatch(
    /<rect fill="#d35452" x="306.4" y="\d+" width="580.8" [^>]*><title>docker image rm: 600 ms</
  )
  expect(svg).toContain('>docker image rm (2)</text>')
  expect(svg.match(/>[\d.]+ s<\/text>/g)).toHaveLength(11)
})

test('commands without their own colour share one', () => {
  const calls = ['image ls', 'info', 'version'].map((command) => ({
    ...{ command, start: 0, end: 1_000 }
  }))
  const svg = drawTimeline(calls, { title: '', total: 1_000 })
  expect(svg).toContain('>docker image ls (1)</text>')
  expect(svg).toContain('>other calls (2)</text>')
  const [own, ...others] = ['image ls', 'info', 'version'].map(
    (command) =>
      new RegExp(`fill="(#......)" [^>]*><title>docker ${command}:`).exec(
        svg
      )?.[1]
  )
  expect(others[0]).toBe(others[1])
  expect(own).not.toBe(others[0])
})

test('time axis ticks are round numbers, at most ten intervals', () => {
  expect([900, 1_000, 1_001, 4_000, 35_000].map(tickStep)).toEqual([
    100, 100, 200, 500, 5_000
  ])
})

test('tables replace those on the page', async () => {
  const page =
    'Before.\n\n<!-- tables: sweep -->\n\nold\n\n<!-- end -->\n\nAfter.\n'
  const written = await putTables(page, { sweep: '| a |\n| --- |\n| 1 |' })
  expect(written).toBe(
    'Before.\n\n<!-- tables: sweep -->\n\n| a   |\n| --- |\n| 1   |\n\n<!-- end -->\n\nAfter.\n'
  )
  expect(await putTables(written, { sweep: 'old' })).toBe(page)
  await expect(putTables(page, { idle: 'x' })).rejects.toThrow('tables: idle')
})

test('the page has a place for the tables of every part', async () => {
  const file = join(import.meta.dirname, '../../docs/benchmarks.md')
  const keys = parts.flatMap((part) =>
    part === 'plan' || part === 'start'
      ? [part]
      : [`${part} overlay2`, `${part} containerd`]
  )
  const tables = Object.fromEntries(keys.map((key) => [key, `of ${key}`]))
  const page = await putTables(await readFile(file, 'utf8'), tables)
  expect(page.match(/^of .+$/gm)).toEqual(keys.map((key) => `of ${key}`))
})

test('invalid options are errors', () => {
  expect(readOptions(['idle', 'sweep', '--rounds', '7'])).toMatchObject({
    parts: ['sweep', 'idle'],
    rounds: 7,
    loopRounds: 7
  })
  for (const args of [
    ['swep'],
    ['--rounds', '0'],
    ['--rounds', '1.5'],
    ['--scale', 'x'],
    ['--fast'],
    ['--write', '--scale', '0.1']
  ])
    expect(() => readOptions(args)).toThrow()
})
