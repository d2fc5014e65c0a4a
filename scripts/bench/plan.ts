import { join } from 'node:path'
import { execa } from 'execa'
import { z } from 'zod'
import {
  formatMemory,
  formatTime,
  type Goal,
  goalTable,
  median,
  ordersOf,
  table
} from './figures.ts'
import { scaled } from './loads.ts'
import type { Options } from './options.ts'
import type { PlanLoad } from './planLoads.ts'

const program = join(import.meta.dirname, 'planProcess.ts')
const resultSchema = z.object({
  milliseconds: z.number(),
  removed: z.number(),
  unmatched: z.number(),
  heap: z.number(),
  peak: z.number()
})
const mostTime = 2_000
const mostMemory = 1_000_000_000
/** Milliseconds that 200 rules may add. */
const mostForRules = 300

const large = { images: 100_000, references: 1, rules: 20 }
const tagged = { images: 10_000, references: 3, rules: 200 }

const loads: readonly PlanLoad[] = [large, tagged].flatMap((size) => [
  { ...size, rules: 0, shape: 'none' },
  { ...size, shape: 'few' },
  { ...size, shape: 'most' },
  { ...size, shape: 'shadowed' }
])

const words = {
  none: 'none',
  few: 'nearly none matches',
  most: 'most images match',
  shadowed: 'the first decides all'
}

type Measured = PlanLoad & { results: z.infer<typeof resultSchema>[] }

/** Measures the planning for many generated images, without an engine. Each round has its own process. */
export async function measurePlanning({
  rounds,
  scale
}: Options): Promise<string> {
  const measured = loads.map<Measured>((load) => ({
    ...load,
    images: scaled(load.images, scale),
    results: []
  }))
  for (const order of ordersOf(measured, rounds))
    for (const { results, ...load } of order) {
      const { stdout } = await execa(process.execPath, [
        program,
        JSON.stringify(load)
      ])
      results.push(resultSchema.parse(JSON.parse(stdout)))
    }
  return [planTable(measured), goalTable(goalsOf(measured))].join('\n\n')
}

function planTable(measured: readonly Measured[]): string {
  return table(
    [
      ...['images', 'references', 'rules', 'without effect', 'removed'],
      ...['median', 'least – most', 'heap', 'peak memory of the process']
    ],
    measured.map((one) => {
      const times = timesOf(one)
      const [first] = one.results
      return [
        ...[one.images, one.references].map(formatCount),
        one.rules === 0 ? words.none : `${one.rules}: ${words[one.shape]}`,
        ...[first?.unmatched ?? 0, first?.removed ?? 0].map(formatCount),
        formatTime(median(times)),
        `${formatTime(Math.min(...times))} – ${formatTime(Math.max(...times))}`,
        formatMemory(most(one, 'heap')),
        formatMemory(most(one, 'peak'))
      ]
    })
  )
}

function goalsOf(measured: readonly Measured[]): Goal[] {
  const [ofLarge, ofTagged] = [large, tagged].map(({ references }) =>
    measured.filter((one) => one.references === references)
  )
  const slowest = Math.max(...(ofLarge ?? []).map(timeOf))
  const peak = Math.max(...(ofLarge ?? []).map((one) => most(one, 'peak')))
  const [without = 0, ...withRules] = (ofTagged ?? []).map(timeOf)
  const added = Math.max(...withRules) - without
  return [
    {
      name: 'time, up to 20 rules',
      value: slowest,
      limit: mostTime,
      unit: 'time'
    },
    {
      name: 'peak memory, up to 20 rules',
      value: peak,
      limit: mostMemory,
      unit: 'memory'
    },
    {
      name: 'time that 200 rules add',
      value: added,
      limit: mostForRules,
      unit: 'time'
    }
  ]
}

function timesOf({ results }: Measured): number[] {
  return results.map(({ milliseconds }) => milliseconds)
}

function timeOf(one: Measured): number {
  return median(timesOf(one))
}

function most({ results }: Measured, figure: 'heap' | 'peak'): number {
  return Math.max(...results.map((one) => one[figure]))
}

function formatCount(number: number): string {
  return number.toLocaleString('en')
}
