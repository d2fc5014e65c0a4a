import { join } from 'node:path'
import { execa } from 'execa'
import { z } from 'zod'
import {
  formatMemory,
  formatTime,
  goalTable,
  median,
  table
} from './figures.ts'
import { scaled } from './loads.ts'
import type { Options } from './options.ts'

const program = join(import.meta.dirname, 'planProcess.ts')
const resultSchema = z.object({
  milliseconds: z.number(),
  removed: z.number(),
  heap: z.number(),
  peak: z.number()
})
const mostTime = 2_000
const mostMemory = 1_000_000_000

/** Measures the planning for many generated images, without an engine. Each round has its own process. */
export async function measurePlanning({
  rounds,
  scale
}: Options): Promise<string> {
  const number = scaled(100_000, scale)
  const results = []
  for (let round = 0; round < rounds; round += 1) {
    const { stdout } = await execa(process.execPath, [program, String(number)])
    results.push(resultSchema.parse(JSON.parse(stdout)))
  }
  const times = results.map(({ milliseconds }) => milliseconds)
  const time = median(times)
  const peak = Math.max(...results.map(({ peak }) => peak))
  const heap = Math.max(...results.map(({ heap }) => heap))
  const [images, removed] = [number, results[0]?.removed ?? 0].map((one) =>
    one.toLocaleString('en')
  )
  return [
    table(
      [
        'images',
        'removed',
        'median',
        'least – most',
        'heap',
        'peak memory of the process'
      ],
      [
        [
          images ?? '',
          removed ?? '',
          formatTime(time),
          `${formatTime(Math.min(...times))} – ${formatTime(Math.max(...times))}`,
          formatMemory(heap),
          formatMemory(peak)
        ]
      ]
    ),
    goalTable([
      { name: 'time', value: time, limit: mostTime, unit: 'time' },
      { name: 'peak memory', value: peak, limit: mostMemory, unit: 'memory' }
    ])
  ].join('\n\n')
}
