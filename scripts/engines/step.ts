import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { parse } from 'yaml'
import { reportSchema, type Report } from '../../src/report/report.ts'

/** Root without any right of its own: what the file modes deny is denied. Others need nothing for that. */
export const withoutCapabilities =
  process.getuid?.() === 0
    ? ['setpriv', '--bounding-set=-all', '--inh-caps=-all']
    : []

const project = join(import.meta.dirname, '../..')

/** What the step left behind: how it ended, and the files that the runner reads. */
export type Step = {
  exitCode: number | undefined
  /** Milliseconds since 1970, when it was started. */
  startedAt: number
  /** From its start to its end. */
  milliseconds: number
  stdout: string
  stderr: string
  summary: string
  outputs: Record<string, string>
  /** What it saved for its post step. */
  state: Record<string, string>
  /** Undefined where the step could not come to a plan. */
  report: Report | undefined
  /** The command lines of what it started and did not end. */
  processesLeft: string[]
}

/**
 * Starts `dist/index.js` as the runner does: the inputs with action.yml's defaults, and the runner's files.
 * `without` is a command that takes rights away before it; `above` one that is to stand above it in the list of
 * processes; `show` prints its log as it comes; `cancel` cancels it as the runner does; `state` makes it the post step
 * of one that has saved that.
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
  }: {
    without?: string[]
    above?: string[]
    show?: boolean
    cancel?: AbortSignal
    state?: Record<string, string>
  } = {}
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
    const over = new AbortController()
    cancel?.addEventListener('abort', () => {
      for (const [signal, delay] of cancelSignals)
        sleep(delay, undefined, { signal: over.signal })
          .then(() => running.kill(signal))
          .catch(() => undefined)
    })
    const result = await running
    over.abort()
    const outputs = readPairs(await readFile(files.GITHUB_OUTPUT, 'utf8'))
    const reportFile = outputs['report-file'] ?? join(folder, 'none')
    const json = await readFile(reportFile, 'utf8').catch(() => undefined)
    return {
      exitCode: result.exitCode,
      startedAt,
      milliseconds: result.durationMs,
      stdout: result.stdout,
      stderr: result.stderr,
      summary: await readFile(files.GITHUB_STEP_SUMMARY, 'utf8'),
      outputs,
      state: readPairs(await readFile(files.GITHUB_STATE, 'utf8')),
      report: json === undefined ? undefined : await readReport(json),
      processesLeft: await processesLeft(folder)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/**
 * Starts the step, then what the job does after it, and its post step with what the step saved, as the runner does at
 * the end of every job.
 */
export async function runJob(
  inputs: Record<string, string>,
  env: Record<string, string | undefined>,
  job: (main: Step) => Promise<void>,
  options: Parameters<typeof runStep>[2] = {}
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

/** Reads a report, and throws where it does not fit the schema that is published. */
async function readReport(json: string): Promise<Report> {
  const report: unknown = JSON.parse(json)
  const file = join(project, 'report.schema.json')
  const published = JSON.parse(await readFile(file, 'utf8')) as object
  // The schema has a pattern for times as well.
  const ajv = new Ajv2020({ formats: { 'date-time': true } })
  if (!ajv.validate(published, report))
    throw new Error(`The report does not fit its schema: ${ajv.errorsText()}`)
  return reportSchema.parse(report)
}

/** What the runner sends when a job is cancelled, after how many milliseconds. */
const cancelSignals = [
  ['SIGINT', 0],
  ['SIGTERM', 7_500],
  ['SIGKILL', 10_000]
] as const

/** The command lines of the processes of a step, by the variable by which the runner finds them, too. */
async function processesLeft(trackingId: string): Promise<string[]> {
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
  // What was just killed takes a moment to go.
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
