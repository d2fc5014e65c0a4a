import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { execa } from 'execa'
import { parse } from 'yaml'
import { reportSchema, type Report } from '../src/report/report.ts'

const project = join(import.meta.dirname, '..')

/** What the step left behind: how it ended, and the files that the runner reads. */
export type Step = {
  exitCode: number | undefined
  stdout: string
  summary: string
  outputs: Record<string, string>
  /** Undefined where the step could not come to a plan. */
  report: Report | undefined
}

/**
 * Starts `dist/index.js` as the runner does: the inputs with action.yml's defaults, and the runner's files.
 * `without` is a command that takes rights away before it; `show` prints its log as it comes.
 */
export async function runStep(
  inputs: Record<string, string>,
  env: Record<string, string | undefined> = {},
  { without = [], show = false }: { without?: string[]; show?: boolean } = {}
): Promise<Step> {
  const folder = await mkdtemp(join(tmpdir(), 'step-'))
  try {
    const files = {
      GITHUB_OUTPUT: join(folder, 'output'),
      GITHUB_STEP_SUMMARY: join(folder, 'summary')
    }
    for (const file of Object.values(files)) await writeFile(file, '')
    const [command, ...args] = [
      ...without,
      process.execPath,
      join(project, 'dist/index.js')
    ]
    const result = await execa(command, args, {
      env: {
        PATH: process.env['PATH'],
        HOME: folder,
        RUNNER_TEMP: folder,
        ...files,
        ...inputVariables({ ...(await defaults()), ...inputs }),
        ...env
      },
      extendEnv: false,
      reject: false,
      stdin: 'ignore',
      stdout: show ? ['pipe', 'inherit'] : 'pipe'
    })
    const outputs = readOutputs(await readFile(files.GITHUB_OUTPUT, 'utf8'))
    const reportFile = outputs['report-file'] ?? join(folder, 'none')
    const json = await readFile(reportFile, 'utf8').catch(() => undefined)
    return {
      exitCode: result.exitCode,
      stdout: result.stdout,
      summary: await readFile(files.GITHUB_STEP_SUMMARY, 'utf8'),
      outputs,
      report: json === undefined ? undefined : await readReport(json)
    }
  } finally {
    await rm(folder, { recursive: true })
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

function readOutputs(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/^(.+)<<(ghadelimiter_.+)\n([^]*?)\n\2$/gm)].map(
      ([, name = '', , value = '']) => [name, value]
    )
  )
}
