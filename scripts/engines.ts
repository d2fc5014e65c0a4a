/**
 * Runs the tests on real engines against each engine of a matrix, some side by side, and prints a table of what passed.
 * Needs Debian, root, and for the first time its packages. Arguments go to jest (names of test files).
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { execa } from 'execa'
import pLimit from 'p-limit'
import { z } from 'zod'
import { startEngine } from './engine.ts'
import { createCli } from './fixtures.ts'
import { unpackSystem } from './packages.ts'

const project = join(import.meta.dirname, '..')
const docker = ['docker.io', 'docker-cli', 'docker-buildx']
const podman = [
  'podman',
  'netavark',
  'aardvark-dns',
  'crun',
  'catatonit',
  'dash'
]

/** Tests of what this action does by itself, whatever the version of the engine: the newest ones are enough for them. */
const ofNewest = ['closedPullRequests', 'examples', 'faults', 'job']

/**
 * The engines, those that take long first: the Debian release that has each, its packages, the major version that is
 * expected of it, and the files of tests that it leaves out.
 */
const matrix = [
  row('docker', 28, 'containerd', 'sid', docker),
  row('docker', 28, 'overlay2', 'sid', docker),
  row('podman', 5, 'overlay', 'trixie', [
    ...podman,
    'docker-cli',
    'docker-buildx'
  ]),
  row('docker', 20, 'overlay2', 'bookworm', ['docker.io'], ofNewest),
  row('podman', 4, 'overlay', 'bookworm', podman, ofNewest),
  row('docker', 26, 'overlay2', 'trixie', docker, [...ofNewest, 'cli'])
]

type Row = {
  kind: 'docker' | 'podman'
  major: number
  store: string
  suite: string
  packages: readonly string[]
  leavesOut: readonly string[]
}

function row(
  kind: Row['kind'],
  major: number,
  store: string,
  suite: string,
  packages: readonly string[],
  leavesOut: readonly string[] = []
): Row {
  return { kind, major, store, suite, packages, leavesOut }
}

/** An engine of the matrix that was started once, to see which version it is. */
type Prepared = Row & { root: string; version: string }

type Outcome = Prepared & {
  passed: number
  failed: number
  skipped: number
  seconds: number
}

/** What of jest's own report is read. */
const jestReport = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numFailedTestSuites: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  testResults: z.array(
    z.object({ name: z.string(), startTime: z.number(), endTime: z.number() })
  )
})

async function prepare(row: Row): Promise<Prepared> {
  const { kind, suite, packages, major } = row
  const root = await unpackSystem(suite, packages)
  const engine = await startEngine({ kind, root, store: storeOf(row) })
  try {
    const cli = createCli(engine)
    const version = await cli('version', '--format', '{{.Server.Version}}')
    if (!version.startsWith(`${major}.`))
      throw new Error(
        `${suite} has ${kind} ${version} (in ${root}), and the matrix says ${major}: test that one, and change the row.`
      )
    return { ...row, root, version }
  } finally {
    await engine.stop()
  }
}

/** Podman has but the one. */
function storeOf({ kind, store }: Row): string | undefined {
  return kind === 'podman' ? undefined : store
}

/** Runs the tests against one engine; what jest printed is shown where something failed. */
async function runTests(
  prepared: Prepared,
  args: readonly string[]
): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), 'engines-'))
  try {
    const output = join(folder, 'report.json')
    const start = Date.now()
    const { all, exitCode } = await execa(
      'npm',
      [
        ...['run', 'jest', '--', '--json', '--outputFile', output],
        ...(args.length > 0 ? args : ['__tests__/engine/'])
      ],
      {
        cwd: project,
        env: {
          ENGINE_LEAVES_OUT: prepared.leavesOut.join('|'),
          ENGINE_KIND: prepared.kind,
          ENGINE_ROOT: prepared.root,
          ENGINE_STORE: storeOf(prepared)
        },
        stdout: 'ignore',
        all: true,
        reject: false
      }
    )
    const report = jestReport.parse(JSON.parse(await readFile(output, 'utf8')))
    // Where all went well, only the tables that tests print.
    const tables = all.split('\n').filter((line) => line.startsWith('| '))
    const shown = exitCode === 0 ? tables.join('\n') : all
    console.log(`${name(prepared)}, ${prepared.store}:\n${shown}`)
    const outcome = {
      ...prepared,
      passed: report.numPassedTests,
      // A file that could not be run has no failed test.
      failed: report.numFailedTests || report.numFailedTestSuites,
      skipped: report.numPendingTests + report.numTodoTests,
      seconds: Math.round((Date.now() - start) / 1_000)
    }
    console.log(tableRow(outcome))
    console.log(slowest(report))
    return outcome
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** The files that took longest: where to look when all of it takes too long. */
function slowest({ testResults }: z.infer<typeof jestReport>): string {
  return testResults
    .map(({ name, startTime, endTime }) => ({
      file: basename(name, '.test.ts'),
      seconds: Math.round((endTime - startTime) / 1_000)
    }))
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, 8)
    .map(({ file, seconds }) => `${file} ${seconds} s`)
    .join(', ')
}

function name({ kind, version }: Prepared): string {
  return `${kind === 'podman' ? 'Podman' : 'Docker'} ${version}`
}

function tableRow(outcome: Outcome): string {
  const { suite, store, passed, failed, skipped, seconds } = outcome
  const cells = [
    name(outcome).padEnd(24),
    suite.padEnd(8),
    store.padEnd(10),
    ...[passed, failed, skipped].map((count) => String(count).padStart(7)),
    `${seconds} s`.padStart(7)
  ]
  return `| ${cells.join(' | ')} |`
}

const header = [
  '| engine                   | Debian   | store      |  passed |  failed | skipped |    time |',
  '| ------------------------ | -------- | ---------- | ------: | ------: | ------: | ------: |'
]

const prepared = []
for (const row of matrix) prepared.push(await prepare(row))
// They wait more than they work.
const atOnce = pLimit(availableParallelism() + 1)
const outcomes = await Promise.all(
  prepared.map((row) => atOnce(() => runTests(row, process.argv.slice(2))))
)
console.log(['', ...header, ...outcomes.map(tableRow), ''].join('\n'))
const total = (key: 'passed' | 'failed' | 'skipped') =>
  outcomes.reduce((sum, outcome) => sum + outcome[key], 0)
console.log(`${total('passed')} passed, ${total('failed')} failed`)
// An engine whose tests did not run at all has failed, too.
process.exitCode =
  total('failed') > 0 || outcomes.some(({ passed }) => passed === 0) ? 1 : 0
