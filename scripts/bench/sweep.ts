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
  median,
  ratioGoal,
  seriesTable,
  type Goal,
  type Series
} from './figures.ts'
import { smallLoad, sweepLoad, type Load } from './loads.ts'
import type { Options } from './options.ts'
import { measureRounds, type Contender } from './rounds.ts'
import { callsAfterPlan, removalTime } from './timeline.ts'
import { recordCalls, writeTimeline } from './timelines.ts'

export const sweepInputs = {
  'keep-last': '2',
  until: '0s',
  'include-containers': 'false'
}
const smallInputs = { ...sweepInputs, 'keep-last': '3' }

const firstRun = 'Docker Reclaim, first run'
const laterRun = 'Docker Reclaim, later run'
const removalAlone = 'Docker Reclaim, removal alone'
const prune = '`docker image prune --all --force`'
const oneProcess = '`docker image rm` of all in one process'
const xargs = '`xargs -n1 docker rmi`'
const loop = '`for …; do docker rmi …; done`'

function contenders(
  inputs: Record<string, string>,
  { loopRounds }: Options,
  processes: number[]
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
    {
      name: removalAlone,
      measure: async (bed) => {
        const memory = { 'state-dir': join(bed.folder, 'memory') }
        const { calls } = await recordCalls(bed, { ...inputs, ...memory })
        processes.push(callsAfterPlan(calls).length)
        return removalTime(calls)
      }
    },
    docker(prune, () => ['image', 'prune', '--all', '--force']),
    docker(oneProcess, ({ toRemove }) => ['image', 'rm', ...toRemove]),
    shell(xargs, 'xargs -n1 "$0" rmi <"$1"'),
    shell(loop, 'for id in $(cat "$1"); do "$0" rmi "$id"; done')
  ]
}

const overlay2 = { run: 1.15, alone: 1, processes: 80 }

/** Highest ratios of the times of a run and of its removal to that of the prune, and most processes after the plan. */
const limits: Record<string, typeof overlay2> = {
  overlay2,
  containerd: { run: 1, alone: 0.9, processes: 160 }
}

function goals(
  series: readonly Series[],
  { name }: Store,
  processes: readonly number[]
): Goal[] {
  const limit = limits[name] ?? overlay2
  const ofRuns = [firstRun, laterRun].flatMap((own) => [
    ...ratioGoal(series, [own, prune], limit.run),
    ...[xargs, loop].flatMap((slow) =>
      ratioGoal(series, [slow, own], 4).map((goal) => ({
        ...goal,
        atLeast: true
      }))
    )
  ])
  const afterPlan: Goal = {
    name: 'docker processes after the plan',
    value: median(processes),
    limit: limit.processes,
    unit: 'count'
  }
  return [
    ...ofRuns,
    ...ratioGoal(series, [removalAlone, prune], limit.alone),
    ...(processes.length > 0 ? [afterPlan] : [])
  ]
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
  goals: typeof goals
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
    const processes: number[] = []
    const series = await measureRounds(
      `${part}, ${store.name}`,
      contenders(inputs, options, processes),
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
      goalTable(goals(series, store, processes))
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
