import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  discard,
  onCopy,
  prepare,
  runBundle,
  type Bed,
  type State,
  type Store
} from './bed.ts'
import {
  exponent,
  formatMemory,
  formatTime,
  goalTable,
  median,
  table,
  type Goal
} from './figures.ts'
import { scaled, sweepLoad } from './loads.ts'
import type { Options } from './options.ts'
import { measureRounds } from './rounds.ts'
import { sweepInputs } from './sweep.ts'

const sizes = [100, 300, 1_000, 3_000]
const large = 10_000
const mostMemory = 150_000_000
const mostExponent = 1.1

type Measured = { images: number; times: number[]; peaks: number[] }

/** Measures how time and memory of a dry run grow with the number of images. */
export async function measureGrowth(
  stores: readonly Store[],
  options: Options
): Promise<string> {
  const texts = []
  for (const store of stores) {
    const states = []
    for (const size of sizesFor(store, options))
      states.push(await prepareSize(store, scaled(size, options.scale)))
    const measured = await measureStates(store, states, options)
    for (const state of states) await discard(state)
    const rows = measured.map(({ images, times, peaks }) => [
      images.toLocaleString('en'),
      formatTime(median(times)),
      `${formatTime(Math.min(...times))} – ${formatTime(Math.max(...times))}`,
      formatMemory(Math.max(...peaks))
    ])
    texts.push(
      `**${store.name}**, dry runs of the sweep:`,
      table(['images', 'median', 'least – most', 'peak memory'], rows),
      goalTable(goals(measured))
    )
  }
  return texts.filter(Boolean).join('\n\n')
}

function sizesFor({ name }: Store, options: Options): number[] {
  // The containerd store inspects an image in time proportional to their number: 10,000 would take hours.
  return options.large && name === 'overlay2' ? [...sizes, large] : sizes
}

async function prepareSize(store: Store, size: number): Promise<State> {
  const start = Date.now()
  // Dry runs need no containers to protect images.
  const state = await prepare(store, { ...sweepLoad(size), containers: [] })
  console.error(
    `growth, ${store.name}: ${size} images loaded in ${formatTime(Date.now() - start)}`
  )
  return state
}

async function measureStates(
  store: Store,
  states: readonly State[],
  options: Options
): Promise<Measured[]> {
  const all = states.map((state) => ({
    state,
    images: state.load.images.length,
    peaks: new Array<number>()
  }))
  const contenders = all.map(({ images, peaks }) => ({
    name: `${images} images`,
    measure: async (bed: Bed) => {
      const { milliseconds, peak } = await dryRun(bed)
      peaks.push(peak)
      return milliseconds
    }
  }))
  const stateOf = new Map(
    all.map(({ images, state }) => [`${images} images`, state])
  )
  const series = await measureRounds(
    `growth, ${store.name}`,
    contenders,
    { ...options, only: [] },
    async (order, measure) => {
      for (const contender of order) {
        const state = stateOf.get(contender.name)
        if (state) await onCopy(state, (bed) => measure(contender, bed))
      }
    }
  )
  return all.map(({ images, peaks }, index) => ({
    images,
    times: series[index]?.times ?? [],
    peaks
  }))
}

/** Runs a dry run; returns its duration and peak memory. */
async function dryRun(
  bed: Bed
): Promise<{ milliseconds: number; peak: number }> {
  const file = join(bed.folder, 'peak')
  const preload = pathToFileURL(join(import.meta.dirname, 'peak.js')).href
  const { milliseconds } = await runBundle(
    bed,
    {
      ...sweepInputs,
      'dry-run': 'true',
      'state-dir': join(bed.folder, 'memory')
    },
    { NODE_OPTIONS: `--import=${preload}`, PEAK_FILE: file }
  )
  return { milliseconds, peak: Number(await readFile(file, 'utf8')) * 1_024 }
}

function goals(measured: readonly Measured[]): Goal[] {
  const points = measured.map(({ images, times }) => ({
    size: images,
    time: median(times)
  }))
  const most = measured.at(-1)
  return [
    {
      name: 'exponent of growth',
      value: exponent(points),
      limit: mostExponent,
      unit: 'exponent'
    },
    ...(most !== undefined && most.images >= large
      ? [
          {
            name: `peak memory at ${most.images.toLocaleString('en')} images`,
            value: Math.max(...most.peaks),
            limit: mostMemory,
            unit: 'memory' as const
          }
        ]
      : [])
  ]
}
