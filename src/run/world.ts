import type { Docker, RunningCall } from '../docker/cli.ts'
import type { Options } from '../inputs/read.ts'
import type { Disk } from '../model/disks.ts'
import type { InputTexts } from '../model/inputs.ts'
import type {
  Engine,
  EngineContext,
  ImageFacts,
  Inventory
} from '../model/inventory.ts'
import type { Message } from '../model/messages.ts'
import type { Policy } from '../model/policy.ts'
import type { EventStream } from '../removal/stream.ts'
import type { Report } from '../report/schema.ts'
import type { EngineKey } from '../state/stateFile.ts'

/** Everything that a run needs from outside. */
export type World = {
  /** The version of this action. */
  version: string
  getInput: (name: string) => string | undefined
  env: Record<string, string | undefined>
  log: Log
  /** Starts a docker command that reaches no engine, with its output in the log. Returns at once. */
  show: (command: string, args: string[]) => void
  /** Aborts when the job is cancelled. */
  signal: AbortSignal
  /** Saves a value for the post step, and returns the problem or ''. Undefined outside a workflow. */
  saveState: ((name: 'snapshot', value: string) => string) | undefined
  /** In the post step of scope `job`: the file with what was there before. */
  snapshotFile: string | undefined
}

export type Log = {
  info: (text: string) => void
  warning: (message: Message) => void
  group: <T>(title: string, body: () => Promise<T>) => Promise<T>
}

/** The texts that a run ends with, and why the step fails, if it does. */
export type Ending = {
  /** Undefined without a plan. */
  report: Report | undefined
  reportFile: string
  outputs: Record<string, string>
  summary: string
  /** What was reclaimed, in one sentence; empty without a plan. */
  answer: string
  failure: string | undefined
}

export type Step = {
  docker: Docker
  /** Its calls under way. */
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

/** The result of the look. */
export type Looked = {
  engine: Engine
  key: EngineKey
  /** From earlier runs. */
  facts: ReadonlyMap<string, ImageFacts>
  inventory: Inventory
  context: EngineContext
  disks: Disk[]
  /** Enough space is free: a real run removes nothing. */
  closed: boolean
  /** When the listing began and ended, as Date.now() counts. */
  lookedAt: number
  listedAt: number
  stream: EventStream
}

export const nothingDone: Ending = {
  report: undefined,
  reportFile: '',
  outputs: {},
  summary: '',
  answer: '',
  failure: undefined
}
