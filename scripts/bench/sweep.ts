import { join } from 'node:path'
import {
  checkRemaining,
  discard,
  onCopy,
  prepare,
  runBundle,
  timeCommand,
  type Bed,
  type State,
  type Store
} from './bed.ts'
import {
  goalTable,
  ratioGoal,
  seriesTable,
  type Goal,
  type Series
} from './figures.ts'
import { smallLoad, sweepLoad, type Load } from './loads.ts'
import type { Options } from './options.ts'
import { measureRounds, type Contender } from './rounds.ts'
import { writeTimeline } from './timelines.ts'

export const sweepInputs = {
  'keep-last': '2',
  until: '0s',
  'include-containers': 'false'
}
const smallInputs = { ...sweepInputs, 'keep-last': '3' }

const firstRun = 'Docker Reclaim, first run'
const laterRun = 'Docker Reclaim, later run'
const prune = '`docker image prune --all --force`'
const oneProcess = '`docker image rm` of all in one process'
const xargs = '`xargs -n1 docker rmi`'
const loop = '`for …; do docker rmi …; done`'

function contenders(
  inputs: Record<string, string>,
  { loopRounds }: Options
): Contender<Bed>[] {
  const docker = (name: string, args: (bed: Bed) => string[]) => ({
    name,
    measure: (bed: Bed) => timeCommand(bed, bed.engine.docker, args(bed))
  })
  const shell = (name: string, script: string) => ({
    name,
    rounds: loopRounds,
    measure: (bed: Bed) =>
      timeCommand(bed, 'sh', [
        '-c',
        script,
        bed.engine.docker,
        bed.toRemoveFile
      ])
  })
  return [
    {
      name: firstRun,
      measure: async (bed) => {
        const memory = { 'state-dir': join(bed.folder, 'memory') }
        return (await runBundle(bed, { ...inputs, ...memory })).milliseconds
      }
    },
    {
      name: laterRun,
      measure: async (bed) => {
        const memory = { 'state-dir': join(bed.folder, 'memory') }
        await runBundle(bed, { ...inputs, ...memory, 'dry-run': 'true' })
        return (await runBundle(bed, { ...inputs, ...memory })).milliseconds
      }
    },
    docker(prune, () => ['image', 'prune', '--all', '--force']),
    docker(oneProcess, ({ toRemove }) => ['image', 'rm', ...toRemove]),
    shell(xargs, 'xargs -n1 "$0" rmi <"$1"'),
    shell(loop, 'for id in $(cat "$1"); do "$0" rmi "$id"; done')
  ]
}

/** Highest ratio of the bundle's time to that of the prune. */
const mostToPrune: Record<string, number> = { overlay2: 1.15, containerd: 1 }

function goals(series: readonly Series[], { name }: Store): Goal[] {
  const limit = mostToPrune[name] ?? 1.15
  return [firstRun, laterRun].flatMap((own) => [
    ...ratioGoal(series, [own, prune], limit),
    ...[xargs, loop].flatMap((slow) =>
      ratioGoal(series, [slow, own], 4).map((goal) => ({
        ...goal,
        atLeast: true
      }))
    )
  ])
}

/** Compares the bundle with its alternatives in removing 1,000 of 1,100 images. */
export function measureSweep(
  stores: readonly Store[],
  options: Options
): Promise<string> {
  const load = sweepLoad(1_100 * options.scale)
  return measureRemoval(
    'sweep',
    { stores, load, inputs: sweepInputs, goals },
    options
  )
}

/** Compares them in removing 5 of 60 images. */
export function measureSmall(
  stores: readonly Store[],
  options: Options
): Promise<string> {
  const load = smallLoad()
  return measureRemoval(
    'small',
    { stores, load, inputs: smallInputs, goals: () => [] },
    options
  )
}

type Removal = {
  stores: readonly Store[]
  load: Load
  inputs: Record<string, string>
  goals: (series: readonly Series[], store: Store) => Goal[]
}

async function measureRemoval(
  part: 'sweep' | 'small',
  { stores, load, inputs, goals }: Removal,
  options: Options
): Promise<string> {
  const { images, staying } = load
  const texts = []
  for (const store of stores) {
    const state = await prepare(store, load)
    const series = await measureRounds(
      `${part}, ${store.name}`,
      contenders(inputs, options),
      options,
      async (order, measure) => {
        for (const contender of order)
          await onCopy(state, async (bed) => {
            await measure(contender, bed)
            await checkRemaining(bed)
          })
      }
    )
    texts.push(
      `**${store.name}**, ${(images.length - staying.length).toLocaleString('en')} of ${images.length.toLocaleString('en')} images:`,
      seriesTable(series, { of: 'command', base: prune }),
      goalTable(goals(series, store))
    )
    if (options.timeline && part === 'sweep')
      texts.push(await drawSweep(state, options))
    await discard(state)
  }
  return texts.filter(Boolean).join('\n\n')
}

/** Repeats the sweep to draw its timeline. */
function drawSweep(state: State, { scale }: Options): Promise<string> {
  return onCopy(state, async (bed) => {
    const text = await writeTimeline(bed, {
      inputs: sweepInputs,
      store: state.store,
      folder: scale === 1 ? 'docs' : 'preview'
    })
    await checkRemaining(bed)
    return text
  })
}
