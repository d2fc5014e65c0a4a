import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as core from '@actions/core'
import { exec } from '@actions/exec'
import { variableOf } from '../model/inputs.ts'
import { messages } from '../model/messages.ts'
import type { Report } from '../report/schema.ts'
import { code, logLine, logLines } from '../report/text.ts'
import { describe } from './ending.ts'
import type { Ending, Log } from './world.ts'

/** An input as the runner passes it on. */
export function getInput(name: string): string | undefined {
  const text = process.env[variableOf(name)]
  // Blank lines count in the line numbers of rules.
  return name === 'rules' ? text?.trimEnd() : text?.trim()
}

/** The environment for the Docker CLI and its plugins, which need no token of GitHub's. */
export const environment = Object.fromEntries(
  Object.entries(process.env).flatMap(([name, value = '']) =>
    name === variableOf('github-token') ? [] : [[name, value]]
  )
)

export const log: Log = {
  info: (text) => {
    core.info(logLine(text))
  },
  warning: ({ text }) => {
    core.warning(logLine(text))
  },
  group: core.group
}

/** Saves a value for the post step; returns the problem or '': a full disk is no reason to stop. */
export function saveState(name: string, value: string): string {
  try {
    core.saveState(name, value)
    return ''
  } catch (error) {
    return describe(error)
  }
}

export function warnOfState(problem: string): void {
  log.warning(messages.stateNotSaved(problem))
}

/** Shows a command's output in the log. Ignores errors: the listing finds whether Docker works. */
export function show(command: string, args: string[]): void {
  exec(`"${command}"`, args, { env: environment }).catch(() => undefined)
}

/** Writes the report, the summary and the outputs, and fails the step if it has to fail. */
export async function finish({
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
  // Last, even if the summary went to the log.
  if (answer !== '') log.info(answer)
  if (failure !== undefined) fail(failure)
}

/** Writes the report, or prints it if that fails; returns the problem or ''. */
async function writeReport(report: Report, file: string): Promise<string> {
  try {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, `${JSON.stringify(report, null, 2)}\n`)
    return ''
  } catch (error) {
    const problem = messages.reportNotWritten(describe(error))
    log.warning(problem)
    const { resources, ...rest } = report
    core.startGroup('Report')
    for (const part of [rest, ...resources]) log.info(JSON.stringify(part))
    core.endGroup()
    return problem.text
  }
}

async function writeSummary(summary: string): Promise<void> {
  if (process.env['GITHUB_STEP_SUMMARY']) {
    try {
      await core.summary.addRaw(summary).write()
      return
    } catch (error) {
      log.warning(messages.summaryNotWritten(describe(error)))
    }
  }
  for (const line of logLines(summary)) core.info(line)
}

function writeOutputs(outputs: Record<string, string>): void {
  // Without the file, core would print an obsolete command.
  if (process.env['GITHUB_OUTPUT']) {
    try {
      for (const [name, value] of Object.entries(outputs))
        core.setOutput(name, value)
      return
    } catch (error) {
      log.warning(messages.outputsNotWritten(describe(error)))
    }
  }
  for (const [name, value] of Object.entries(outputs))
    log.info(`${name}=${value}`)
}

function fail(message: string): void {
  core.setFailed(logLines(message).join('\n'))
}
