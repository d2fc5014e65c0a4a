import { join } from 'node:path'
import {
  discard,
  onCopy,
  prepare,
  runBundle,
  timeCommand,
  checkRemaining,
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

/** Commands that the bundle cannot avoid, even if there is nothing to remove. */
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

/** Adds the start of Node to the slowest listing, as the base to compare with. */
function floorOf(series: readonly Series[]): Series[] {
  const find = (name: string) => series.find((one) => one.name === name)
  const listed = Object.keys(listings).map((words) =>
    find(`\`docker ${words}\``)
  )
  const start = find(node)
  if (start === undefined || listed.includes(undefined)) return []
  const medians = listed.map((one) => median(one?.times ?? []))
  return [{ name: base, times: [Math.max(...medians) + median(start.times)] }]
}

function goals(series: readonly Series[]): Goal[] {
  return [firstRun, laterRun].flatMap((own) =>
    ratioGoal(series, [own, base], 1.5)
  )
}

/** Measures runs that have nothing to remove. All contenders of a round share an engine. */
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
          await checkRemaining(bed)
        })
    )
    await discard(state)
    const series = [...measured, ...floorOf(measured)]
    texts.push(
      `**${store.name}**, ${load.images.length.toLocaleString('en')} images, ${load.containers.length} containers, ${load.volumes} volumes:`,
      seriesTable(series, { of: 'command', base }),
      goalTable(goals(series))
    )
  }
  return texts.filter(Boolean).join('\n\n')
}
