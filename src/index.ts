import { ChildProcess } from 'node:child_process'
import { subscribe } from 'node:diagnostics_channel'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as core from '@actions/core'
import { exec } from '@actions/exec'
import { DockerError } from './docker/errors.ts'
import { InputError, variableOf } from './model/inputs.ts'
import type { Report } from './report/schema.ts'
import { renderFailure } from './report/summary.ts'
import { code, logLine, logLines } from './report/text.ts'
import { run } from './run.ts'
import type { Ending, Log } from './run/world.ts'

const log: Log = {
  info: (text) => {
    core.info(logLine(text))
  },
  warning: (text) => {
    core.warning(logLine(text))
  },
  group: core.group
}

// A log that nobody reads any more (`| head`), or that a full disk has no room for, leaves nothing half done.
process.stdout.on('error', () => undefined)

/** Every process that was started: `exec` hands out none of its own, so Node has to tell. */
const children: ChildProcess[] = []
subscribe('child_process', (message) => {
  if (typeof message !== 'object' || message === null) return
  if ('process' in message && message.process instanceof ChildProcess)
    children.push(message.process)
})

/** Keeps a word for the post step; returns what went wrong, if something did: a full disk is no reason to stop. */
function saveState(name: string, value: string): string {
  try {
    core.saveState(name, value)
    return ''
  } catch (error) {
    return describe(error)
  }
}

/** Only for the log: whether Docker works, the listing tells. */
function show(command: string, args: string[]): void {
  exec(`"${command}"`, args).catch(() => undefined)
}

/** Main, or the post step, which the runner starts at the end of the job with what main has saved. */
async function main(): Promise<void> {
  const snapshotFile = core.getState('snapshot')
  // Only after scope job there is something left to do.
  if (core.getState('main') !== '' && snapshotFile === '') return
  // Outside a workflow there is no post step, and core would print a command that the runner no longer knows.
  const save = process.env['GITHUB_STATE'] ? saveState : undefined
  try {
    const full = save?.('main', 'begun')
    await finish(
      await run({
        getInput: (name) => process.env[variableOf(name)]?.trim(),
        env: process.env,
        log,
        show,
        signal: cancellation(),
        saveState: save,
        snapshotFile: snapshotFile || undefined
      })
    )
    // There may be room now.
    const problem = full && save?.('main', 'begun')
    if (problem)
      log.warning(
        `The state of the step could not be written, its post step may do the same once more: ${problem}`
      )
  } catch (error) {
    const message = describe(error)
    await writeSummary(renderFailure(message))
    fail(message)
  }
}

/** Aborts on the signals that the runner sends when a job is cancelled. */
function cancellation(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      controller.abort()
    })
  return controller.signal
}

async function finish({
  report,
  reportFile,
  outputs,
  summary,
  answer,
  failure
}: Ending): Promise<void> {
  const problem = report && (await writeReport(report, reportFile))
  if (summary !== '')
    await writeSummary(problem ? `${summary}\n> ${code(problem)}\n` : summary)
  writeOutputs(problem ? { ...outputs, 'report-file': '' } : outputs)
  // Last of all, also where the summary stands in the log.
  if (answer !== '') log.info(answer)
  if (failure !== undefined) fail(failure)
}

/** Writes the report, or prints it where that fails; returns what went wrong, if something did. */
async function writeReport(report: Report, file: string): Promise<string> {
  try {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, `${JSON.stringify(report, null, 2)}\n`)
    return ''
  } catch (error) {
    const problem = `The report could not be written: ${describe(error)}`
    log.warning(problem)
    const { resources, ...rest } = report
    core.startGroup('Report')
    for (const part of [rest, ...resources]) log.info(JSON.stringify(part))
    core.endGroup()
    return problem
  }
}

async function writeSummary(summary: string): Promise<void> {
  if (process.env['GITHUB_STEP_SUMMARY']) {
    try {
      await core.summary.addRaw(summary).write()
      return
    } catch (error) {
      log.warning(`The job summary could not be written: ${describe(error)}`)
    }
  }
  for (const line of logLines(summary)) core.info(line)
}

function writeOutputs(outputs: Record<string, string>): void {
  // Without the file, core would print a command that the runner no longer knows.
  if (process.env['GITHUB_OUTPUT']) {
    try {
      for (const [name, value] of Object.entries(outputs))
        core.setOutput(name, value)
      return
    } catch (error) {
      log.warning(`The outputs could not be written: ${describe(error)}`)
    }
  }
  for (const [name, value] of Object.entries(outputs))
    log.info(`${name}=${value}`)
}

function fail(message: string): void {
  core.setFailed(logLines(message).join('\n'))
}

/**
 * Ends a command that is only shown and hangs: it has no time limit, and some CLIs ask the engine even for their own
 * version. All others end by themselves, with a moment for those that were told to end.
 */
function endWhatIsShown(): void {
  for (const child of children)
    if (child.exitCode === null && child.spawnargs.at(-1) === '--version')
      child.kill('SIGKILL')
  setTimeout(() => process.exit(), 2_000).unref()
}

/** What a person can act on; of a fault of our own, the stack as well. */
function describe(error: unknown): string {
  if (error instanceof InputError || error instanceof DockerError)
    return error.message
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? error.message : (error.stack ?? error.message)
}

await main()
endWhatIsShown()
