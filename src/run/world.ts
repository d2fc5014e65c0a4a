import type { Disk } from '../model/disks.ts'
import type {
  Engine,
  EngineContext,
  ImageFacts,
  Inventory
} from '../model/inventory.ts'
import type { Watch } from '../removal/watch.ts'
import type { EngineKey } from '../state/stateFile.ts'
import type { Docker, RunningCall } from '../docker/cli.ts'
import type { Options } from '../inputs/read.ts'
import type { InputTexts } from '../model/inputs.ts'
import type { Policy } from '../model/policy.ts'
import type { Report } from '../report/schema.ts'

/** What a run needs of the world around it. */
export type World = {
  getInput: (name: string) => string | undefined
  env: Record<string, string | undefined>
  log: Log
  /** Runs a docker command that reaches no engine, with its output in the log; nobody waits for it. */
  show: (command: string, args: string[]) => void
  /** Aborts when the job is cancelled. */
  signal: AbortSignal
  /** Keeps a word for the post step, and returns what went wrong; undefined where there is no such step. */
  saveState: ((name: 'snapshot', value: string) => string) | undefined
  /** In the post step: the file that tells what was there before the job. */
  snapshotFile: string | undefined
}

export type Log = {
  info: (text: string) => void
  warning: (text: string) => void
  group: <T>(title: string, body: () => Promise<T>) => Promise<T>
}

/** How a run ended: what is to be written where, and why the step has to fail, if it has to. */
export type Ending = {
  /** Undefined where there was no plan. */
  report: Report | undefined
  reportFile: string
  outputs: Record<string, string>
  summary: string
  /** What was reclaimed, in one sentence; empty where there was no plan. */
  answer: string
  failure: string | undefined
}

/** What every part of the step needs. */
export type Step = {
  docker: Docker
  /** The calls of it that are under way. */
  running: ReadonlySet<RunningCall>
  policy: Policy
  options: Options
  texts: InputTexts
  startedAt: Date
  /** Milliseconds, as Date.now() counts. */
  deadline: number
  world: World
  /** Aborts when the step is over. */
  leave: AbortSignal
}

/** All that the look found. */
export type Looked = {
  engine: Engine
  key: EngineKey
  /** What earlier runs were told of the images. */
  facts: ReadonlyMap<string, ImageFacts>
  inventory: Inventory
  context: EngineContext
  disks: Disk[]
  /** Milliseconds, as Date.now() counts, when the listing began. */
  lookedAt: number
  /** When it was there. */
  listedAt: number
  watch: Watch
}

/** A policy that is complete, and what was not to be had for it. */
export type Limited = { policy: Policy; problems: string[] }

export const nothingDone: Ending = {
  report: undefined,
  reportFile: '',
  outputs: {},
  summary: '',
  answer: '',
  failure: undefined
}
