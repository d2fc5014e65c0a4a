import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { parse } from 'yaml'
import { reportSchema, type Report } from '../../src/report/schema.ts'

/** Command prefix that drops root's capabilities, so that file modes apply; empty for other users. */
export const withoutCapabilities =
  process.getuid?.() === 0
    ? ['setpriv', '--bounding-set=-all', '--inh-caps=-all']
    : []

const project = join(import.meta.dirname, '../..')

/** Result of a step, with the files that it wrote for the runner. */
export type Step = {
  exitCode: number | undefined
  /** Milliseconds since 1970. */
  startedAt: number
  /** Duration. */
  milliseconds: number
  stdout: string
  stderr: string
  summary: string
  outputs: Record<string, string>
  /** Values saved for the post step. */
  state: Record<string, string>
  /** Undefined if the step failed before it had a plan. */
  report: Report | undefined
  /** Command lines of processes that the step left running. */
  processesLeft: string[]
}

type StepOptions = {
  without?: string[]
  above?: string[]
  show?: boolean
  cancel?: AbortSignal
  state?: Record<string, string>
}

/**
 * Runs `dist/index.js` as the runner does, with the defaults of action.yml.
 *
 * @param options.without command prefix that drops privileges
 * @param options.above command prefix of a parent process
 * @param options.show prints the log live
 * @param options.cancel cancels the step as the runner does
 * @param options.state values saved by the main step; makes this its post step
 */
export async function runStep(
  inputs: Record<string, string>,
  env: Record<string, string | undefined> = {},
  {
    without = [],
    above = [],
    show = false,
    cancel,
    state = {}
  }: StepOptions = {}
): Promise<Step> {
  const folder = await mkdtemp(join(tmpdir(), 'step-'))
  try {
    const files = {
      GITHUB_OUTPUT: join(folder, 'output'),
      GITHUB_STATE: join(folder, 'state'),
      GITHUB_STEP_SUMMARY: join(folder, 'summary')
    }
    for (const file of Object.values(files)) await writeFile(file, '')
    const [command, ...args] = [
      ...above,
      ...without,
      process.execPath,
      join(project, 'dist/index.js')
    ]
    const startedAt = Date.now()
    const running = execa(command, args, {
      env: {
        PATH: process.env['PATH'],
        HOME: folder,
        RUNNER_TEMP: folder,
        RUNNER_TRACKING_ID: folder,
        NODE_COMPILE_CACHE: join(project, 'node_modules/.cache/node'),
        ...files,
        ...inputVariables({ ...(await defaults()), ...inputs }),
        ...stateVariables(state),
        ...env
      },
      extendEnv: false,
      reject: false,
      stdin: 'ignore',
      stdout: show ? ['pipe', 'inherit'] : 'pipe'
    })
    const ended = new AbortController()
    cancel?.addEventListener('abort', () => {
      sendCancelSignals((name) => running.kill(name), ended.signal)
    })
    const { exitCode, durationMs, stdout, stderr } = await running
    ended.abort()
    return {
      ...{ exitCode, startedAt, milliseconds: durationMs, stdout, stderr },
      ...(await readFiles(files, folder)),
      processesLeft: await findProcesses(folder)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Runs a step, the rest of the job, and the post step with the state that the step saved. */
export async function runJob(
  inputs: Record<string, string>,
  env: Record<string, string | undefined>,
  job: (main: Step) => Promise<void>,
  options: StepOptions = {}
): Promise<{ main: Step; post: Step }> {
  const temp = await mkdtemp(join(tmpdir(), 'job-'))
  try {
    const all = { RUNNER_TEMP: temp, ...env }
    const main = await runStep(inputs, all, options)
    await job(main)
    const { state } = main
    return { main, post: await runStep(inputs, all, { ...options, state }) }
  } finally {
    await rm(temp, { recursive: true })
  }
}

/** The runner's signals on cancellation, and their delays in milliseconds. */
const cancelSignals = [
  ['SIGINT', 0],
  ['SIGTERM', 7_500],
  ['SIGKILL', 10_000]
] as const

function sendCancelSignals(
  kill: (signal: NodeJS.Signals) => void,
  ended: AbortSignal
): void {
  for (const [name, delay] of cancelSignals)
    sleep(delay, undefined, { signal: ended })
      .then(() => {
        kill(name)
      })
      .catch(() => undefined)
}

type RunnerFiles = Record<
  'GITHUB_OUTPUT' | 'GITHUB_STATE' | 'GITHUB_STEP_SUMMARY',
  string
>

async function readFiles(
  files: RunnerFiles,
  folder: string
): Promise<Pick<Step, 'summary' | 'outputs' | 'state' | 'report'>> {
  const outputs = readPairs(await readFile(files.GITHUB_OUTPUT, 'utf8'))
  const reportFile = outputs['report-file'] ?? join(folder, 'none')
  const json = await readFile(reportFile, 'utf8').catch(() => undefined)
  return {
    summary: await readFile(files.GITHUB_STEP_SUMMARY, 'utf8'),
    outputs,
    state: readPairs(await readFile(files.GITHUB_STATE, 'utf8')),
    report: json === undefined ? undefined : await readReport(json)
  }
}

/** Parses a report after checking it against the published schema. */
async function readReport(json: string): Promise<Report> {
  const report: unknown = JSON.parse(json)
  const file = join(project, 'report.schema.json')
  const published = JSON.parse(await readFile(file, 'utf8')) as object
  // The schema also has a pattern for date-time, so the format needs no check.
  const ajv = new Ajv2020({ formats: { 'date-time': true } })
  if (!ajv.validate(published, report))
    throw new Error(`The report does not match its schema: ${ajv.errorsText()}`)
  return reportSchema.parse(report)
}

/** Finds processes as the runner does, by RUNNER_TRACKING_ID. */
async function findProcesses(trackingId: string): Promise<string[]> {
  const read = (pid: string, file: string) =>
    readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')
  const list = async () => {
    const pids = await readdir('/proc').catch(() => [])
    const left = await Promise.all(
      pids.map(async (pid) => {
        const environment = (await read(pid, 'environ')).split('\0')
        return environment.includes(`RUNNER_TRACKING_ID=${trackingId}`)
          ? [(await read(pid, 'cmdline')).replaceAll('\0', ' ').trim()]
          : []
      })
    )
    return left.flat()
  }
  // Killed processes take a moment to disappear.
  for (let attempt = 0; attempt < 30; attempt += 1) {
    if ((await list()).length === 0) return []
    await sleep(100)
  }
  return list()
}

async function defaults(): Promise<Record<string, string>> {
  const action = parse(await readFile(join(project, 'action.yml'), 'utf8')) as {
    inputs: Record<string, { default: string }>
  }
  return Object.fromEntries(
    Object.entries(action.inputs).map(([name, input]) => [name, input.default])
  )
}

function inputVariables(
  inputs: Record<string, string>
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [
      `INPUT_${name.toUpperCase()}`,
      value
    ])
  )
}

function stateVariables(state: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(state).map(([name, value]) => [`STATE_${name}`, value])
  )
}

function readPairs(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/^(.+)<<(ghadelimiter_.+)\n([^]*?)\n\2$/gm)].map(
      ([, name = '', , value = '']) => [name, value]
    )
  )
}
