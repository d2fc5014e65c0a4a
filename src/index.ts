import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as core from '@actions/core'
import { exec } from '@actions/exec'
import { DockerError } from './docker/cli.ts'
import { InputError } from './inputs.ts'
import { renderFailure } from './report/summary.ts'
import { code, logLine, logLines } from './report/text.ts'
import { run, type Ending, type Log } from './run.ts'

const log: Log = {
  info: (text) => {
    core.info(logLine(text))
  },
  warning: (text) => {
    core.warning(logLine(text))
  },
  group: core.group
}

let shown = 0

/** Only for the log: whether Docker works, the listing tells. */
function show(command: string, args: string[]): void {
  shown += 1
  exec(`"${command}"`, args)
    .catch(() => undefined)
    .finally(() => {
      shown -= 1
    })
}

async function main(): Promise<void> {
  try {
    await finish(
      await run({
        getInput: (name) => process.env[`INPUT_${name.toUpperCase()}`]?.trim(),
        env: process.env,
        log,
        show,
        signal: cancellation()
      })
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
  failure
}: Ending): Promise<void> {
  let problem = ''
  try {
    await mkdir(dirname(reportFile), { recursive: true })
    await writeFile(reportFile, `${JSON.stringify(report, null, 2)}\n`)
  } catch (error) {
    problem = `The report could not be written: ${describe(error)}`
    log.warning(problem)
  }
  await writeSummary(problem ? `${summary}\n> ${code(problem)}\n` : summary)
  writeOutputs(problem ? { ...outputs, 'report-file': '' } : outputs)
  if (failure !== undefined) fail(failure)
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
  try {
    for (const [name, value] of Object.entries(outputs))
      // Without the file, core would print a command that the runner no longer knows.
      if (process.env['GITHUB_OUTPUT']) core.setOutput(name, value)
      else core.info(logLine(`${name}=${value}`))
  } catch (error) {
    log.warning(`The outputs could not be written: ${describe(error)}`)
  }
}

function fail(message: string): void {
  core.setFailed(logLines(message).join('\n'))
}

/** What a person can act on; of a fault of our own, the stack as well. */
function describe(error: unknown): string {
  if (error instanceof InputError || error instanceof DockerError)
    return error.message
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? error.message : (error.stack ?? error.message)
}

await main()
// A command that is only shown has no time limit: the step does not wait for one that hangs.
if (shown > 0) process.exit()
