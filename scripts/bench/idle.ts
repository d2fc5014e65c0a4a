import { join } from 'node:path'
import {
  discard,
  onCopy,
  prepare,
  runBundle,
  timeCommand,
  checkLeft,
  type Bed,
  type Store
} from './bed.ts'
import {
  goalTable,
  median,
  ratioGoal,
  seriesTable,
  type Goal,
  type Series
} from './figures.ts'
import { idleLoad } from './loads.ts'
import type { Options } from './options.ts'
import { measureRounds, type Contender } from './rounds.ts'

const firstRun = 'Docker Reclaim, first run'
const laterRun = 'Docker Reclaim, later run'
const node = '`node -e 0`'
const json = ['--format', '{{json .}}']

/** What the bundle has to ask before it can say that there is nothing to do, one call each. */
const listings: Record<string, (bed: Bed) => Promise<string[]> | string[]> = {
  'image ls --all': () => ['image', 'ls', '--all', '--no-trunc', ...json],
  'container ls --all': () => [
    'container',
    'ls',
    '--all',
    '--no-trunc',
    ...json
  ],
  'container inspect (all)': async ({ docker }) => [
    ...['container', 'inspect'],
    ...lines(await docker('container', 'ls', '--all', '--quiet', '--no-trunc'))
  ],
  'network ls': () => ['network', 'ls', '--no-trunc', ...json],
  'volume ls': () => ['volume', 'ls', ...json],
  'volume inspect (all)': async ({ docker }) => [
    ...['volume', 'inspect'],
    ...lines(await docker('volume', 'ls', '--quiet'))
  ]
}

function lines(text: string): string[] {
  return text.split('\n').filter(Boolean)
}

function contenders(): Contender<Bed>[] {
  const docker = (words: string, args: (typeof listings)[string]) => ({
    name: `\`docker ${words}\``,
    measure: async (bed: Bed) =>
      timeCommand(bed, bed.engine.docker, await args(bed))
  })
  const pruning = [
    'image',
    'prune',
    '--all',
    '--force',
    '--filter',
    'until=24h'
  ]
  return [
    {
      name: firstRun,
      measure: async (bed) => {
        const memory = join(bed.folder, `first-${process.hrtime.bigint()}`)
        return (await runBundle(bed, { 'state-dir': memory })).milliseconds
      }
    },
    {
      name: laterRun,
      measure: async (bed) => {
        const memory = { 'state-dir': join(bed.folder, 'memory') }
        await runBundle(bed, { ...memory, 'dry-run': 'true' })
        return (await runBundle(bed, memory)).milliseconds
      }
    },
    docker('system df', () => ['system', 'df']),
    docker(pruning.join(' '), () => pruning),
    ...Object.entries(listings).map(([words, args]) => docker(words, args)),
    {
      name: node,
      measure: (bed) => timeCommand(bed, process.execPath, ['-e', '0'])
    }
  ]
}

const base = 'the slowest listing and the start of Node'

/** The slowest of the listings with the start of Node, as a series to compare with. */
function floorOf(series: readonly Series[]): Series[] {
  const own = (name: string) => series.find((one) => one.name === name)
  const asked = Object.keys(listings).map((words) => own(`\`docker ${words}\``))
  const start = own(node)
  if (start === undefined || asked.includes(undefined)) return []
  const medians = asked.map((one) => median(one?.times ?? []))
  return [{ name: base, times: [Math.max(...medians) + median(start.times)] }]
}

function goals(series: readonly Series[]): Goal[] {
  return [firstRun, laterRun].flatMap((own) =>
    ratioGoal(series, [own, base], 1.5)
  )
}

/** Nothing is to go: the bundle beside what it has to ask, and what people ask. All of a round on one engine. */
export async function measureIdle(
  stores: readonly Store[],
  options: Options
): Promise<string> {
  const texts = []
  for (const store of stores) {
    const load = idleLoad(options.scale)
    const state = await prepare(store, load)
    const measured = await measureRounds(
      `idle, ${store.name}`,
      contenders(),
      options,
      (order, measure) =>
        onCopy(state, async (bed) => {
          for (const contender of order) await measure(contender, bed)
          await checkLeft(bed)
        })
    )
    await discard(state)
    const series = [...measured, ...floorOf(measured)]
    texts.push(
      `**${store.name}**, ${load.images.length.toLocaleString('en')} images, ${load.containers.length} containers, ${load.volumes} volumes:`,
      seriesTable(series, { of: 'what was asked', base }),
      goalTable(goals(series))
    )
  }
  return texts.filter(Boolean).join('\n\n')
}
