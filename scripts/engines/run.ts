import { mkdir, readFile, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { execa } from 'execa'
import { z } from 'zod'

const project = join(import.meta.dirname, '../..')
const reports = join(project, 'node_modules/.cache/reports')

type Test = {
  file: string
  name: string
  status: 'passed' | 'failed' | 'skipped'
  seconds: number
  failures: readonly string[]
}

/** Results of one command. */
export type Outcome = {
  title: string
  tests: readonly Test[]
  seconds: number
  /** Seconds of processor time, of all its processes. */
  processor: number
}

const jestReport = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string(),
      assertionResults: z.array(
        z.object({
          fullName: z.string(),
          status: z.string(),
          duration: z.number().nullish(),
          failureMessages: z.array(z.string()).nullish()
        })
      )
    })
  )
})

/** Runs a command that accepts jest's arguments, and reads jest's report. Shows its output only if it fails. */
export async function runTests(
  title: string,
  command: readonly string[]
): Promise<Outcome> {
  const report = join(reports, `${title}.json`)
  await mkdir(reports, { recursive: true })
  await rm(report, { force: true })
  const args = ['--json', '--outputFile', report]
  const { printed, exitCode, ...used } = await measure([...command, ...args])
  const json = await readFile(report, 'utf8').catch(() => undefined)
  const tests = json === undefined ? [] : readTests(json)
  const failed = tests.some(({ status }) => status === 'failed')
  // It may also fail before or after the tests.
  if (exitCode !== 0 && !failed)
    tests.push(failure('', command.join(' '), [printed]))
  return announce({ title, tests, ...used })
}

/** Runs a command as a single test. */
export async function runCommand(
  title: string,
  command: readonly string[]
): Promise<Outcome> {
  const { printed, exitCode, ...used } = await measure(command)
  const name = command.join(' ')
  const passed = { file: '', name, seconds: used.seconds, failures: [] }
  const test: Test =
    exitCode === 0
      ? { ...passed, status: 'passed' }
      : failure('', name, [printed])
  return announce({ title, tests: [test], ...used })
}

function announce(outcome: Outcome): Outcome {
  const [passed, failed] = (['passed', 'failed'] as const).map((status) =>
    countOf(outcome, status)
  )
  console.log(
    `${outcome.title}: ${passed} passed, ${failed} failed in ${outcome.seconds.toFixed(0)} s`
  )
  return outcome
}

/** Runs a command in a shell, whose `times` adds up the processor time of its descendants. */
async function measure(command: readonly string[]) {
  const start = Date.now()
  const { stdout, stderr, exitCode } = await execa(
    'sh',
    ['-c', '"$@" >&2; code=$?; times; exit $code', 'sh', ...command],
    { cwd: project, stdin: 'ignore', reject: false }
  )
  const seconds = (Date.now() - start) / 1_000
  return {
    ...{ printed: stderr, exitCode, seconds },
    processor: readTimes(stdout)
  }
}

function failure(
  file: string,
  name: string,
  failures: readonly string[]
): Test {
  return { file, name, status: 'failed', seconds: 0, failures }
}

function readTests(json: string): Test[] {
  return jestReport
    .parse(JSON.parse(json))
    .testResults.flatMap(({ name, status, message, assertionResults }) => {
      const file = relative(join(project, '__tests__'), name)
      // A file that fails to load has no tests.
      if (assertionResults.length === 0 && status === 'failed')
        return [failure(file, '', [message])]
      return assertionResults.map((one): Test => {
        const { fullName, duration, failureMessages } = one
        const passed = one.status === 'passed' ? 'passed' : 'skipped'
        return {
          ...{ file, name: fullName },
          status: one.status === 'failed' ? 'failed' : passed,
          seconds: (duration ?? 0) / 1_000,
          failures: failureMessages ?? []
        }
      })
    })
}

/** Reads the second line of `times`, which is that of the children. */
function readTimes(text: string): number {
  const [, line = ''] = text.split('\n')
  return [...line.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds),
    0
  )
}

function countOf({ tests }: Outcome, status: Test['status']): number {
  return tests.filter((test) => test.status === status).length
}

function listSlowest(outcomes: readonly Outcome[]): string {
  return outcomes
    .flatMap(({ title, tests }) => tests.map((test) => ({ title, ...test })))
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, 20)
    .map(
      ({ title, file, name, seconds }) =>
        `${seconds.toFixed(1).padStart(6)} s  ${title}  ${file}: ${name}`
    )
    .join('\n')
}

function describeFailures(outcomes: readonly Outcome[]): string {
  return outcomes
    .flatMap(({ title, tests }) =>
      tests
        .filter(({ status }) => status === 'failed')
        .map(({ file, name, failures }) =>
          [
            `FAILED on ${title}: ${file}: ${name}`,
            ...failures.map(firstLines)
          ].join('\n')
        )
    )
    .join('\n\n')
}

const firstLines = (text: string) =>
  text
    .split('\n')
    .filter((line) => !line.includes('/node_modules/'))
    .slice(0, 40)
    .map((line) => `  ${line.slice(0, 1_000)}`)
    .join('\n')

/** Makes a table, and a line with the totals. */
function describeOutcomes(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map((one) => [
    one.title,
    ...(['passed', 'failed', 'skipped'] as const).map((status) =>
      String(countOf(one, status))
    ),
    `${one.seconds.toFixed(0)} s`,
    `${one.processor.toFixed(0)} s`
  ])
  const head = ['tests', 'passed', 'failed', 'skipped', 'time', 'processor']
  const widths = head.map((_, column) =>
    Math.max(...[head, ...rows].map((cells) => cells[column]?.length ?? 0))
  )
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`
  )
  const total = (status: Test['status']) =>
    outcomes.reduce((sum, one) => sum + countOf(one, status), 0)
  return [
    ...[head, rule, ...rows].map(line),
    '',
    `${total('passed')} passed, ${total('failed')} failed, ${total('skipped')} skipped`
  ].join('\n')
}

/** Prints all results and sets the exit code. An outcome without a passed test is a failure. */
export function conclude(outcomes: readonly Outcome[]): void {
  const failures = describeFailures(outcomes)
  const empty = outcomes.filter((one) => countOf(one, 'passed') === 0)
  console.log(
    [
      '',
      'Slowest:',
      listSlowest(outcomes),
      '',
      ...(failures === '' ? [] : [failures, '']),
      ...empty.map(({ title }) => `FAILED on ${title}: no test passed`),
      describeOutcomes(outcomes)
    ].join('\n')
  )
  if (failures !== '' || empty.length > 0) process.exitCode = 1
}
