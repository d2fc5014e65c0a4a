/**
 * Runs suites on every engine of their matrix, several in parallel. Requires Debian and root, and downloads packages on
 * first use.
 *
 *   node scripts/engines/index.ts contract|world|world,contract [--engine NAME] [--shard 2/6] [jest's arguments]
 */
import { readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pLimit from 'p-limit'
import { matrix, newest, prepare, type Row } from './rows.ts'
import { conclude, runTests, type Outcome } from './run.ts'

const rowsOf = { contract: matrix, world: newest }

const { values, positionals } = parseArgs({
  options: {
    engine: { type: 'string', multiple: true },
    shard: { type: 'string', default: '1/1' },
    testNamePattern: { type: 'string', short: 't' }
  },
  allowPositionals: true
})
const [suites = '', ...patterns] = positionals

/** Files about containers, networks, volumes and builders, which do not depend on the image store. */
const ofAnyStore = [
  ...['builders', 'needs', 'networksAndVolumes', 'plugins', 'pullRequest'],
  'swarm'
].map((name) => `${name}.test.ts`)

/** The other store of the same engine runs what the containerd store leaves out. */
const runsOn = ({ kind, store }: Row, file: string) =>
  file === 'podman.test.ts'
    ? kind === 'podman'
    : store !== 'containerd' || !ofAnyStore.includes(file)

/** A test file and the engine to run it on. */
type Work = { title: string; row: Row; file: string }

async function listWork(suite: string): Promise<Work[]> {
  if (suite !== 'contract' && suite !== 'world')
    throw new Error('Choose a suite: contract or world')
  const rows = rowsOf[suite].filter(
    ({ name }) => values.engine?.includes(name) ?? true
  )
  const folder = join('__tests__/engine', suite)
  const files = (await readdir(folder)).filter(
    (file) =>
      file.endsWith('.test.ts') &&
      (patterns.length === 0 || patterns.some((one) => file.includes(one)))
  )
  return rows.flatMap((row) =>
    files
      .filter((file) => runsOn(row, file))
      .map((file) => ({
        ...{ title: `${suite} ${row.name}`, row },
        file: join(folder, file)
      }))
  )
}

/** Selects this shard's test files. */
async function findWork(): Promise<Work[]> {
  const all = (await Promise.all(suites.split(',').map(listWork))).flat()
  const [part, parts] = readShard(values.shard)
  const mine = all.slice(
    Math.round((all.length * (part - 1)) / parts),
    Math.round((all.length * part) / parts)
  )
  if (mine.length === 0)
    throw new Error(
      `No tests match. Engines: ${matrix.map(({ name }) => name).join(', ')}`
    )
  return mine
}

function readShard(text: string): [number, number] {
  const [, part, parts] = /^(\d+)\/(\d+)$/.exec(text)?.map(Number) ?? []
  if (!part || !parts || part > parts)
    throw new Error(`--shard must be a fraction such as 2/6, not ${text}`)
  return [part, parts]
}

async function runRow(title: string, work: readonly Work[]): Promise<Outcome> {
  const [name = ''] = work.map(({ row }) => row.name)
  return runTests(title, [
    ...[process.execPath, 'scripts/engines/row.ts', name, '1'],
    ...work.map(({ file }) => file),
    ...(values.testNamePattern ? ['-t', values.testNamePattern] : [])
  ])
}

process.chdir(join(import.meta.dirname, '../..'))
const work = await findWork()
// Rows of the same release share apt's lists, so they are prepared one by one.
const rows = new Set(work.map(({ row }) => row))
const releases = Map.groupBy(rows, ({ suite, kind }) => suite ?? kind)
await Promise.all(
  [...releases.values()].map(async (rows) => {
    for (const row of rows) await prepare(row)
  })
)
// One more than cores, as tests also wait.
const atOnce = pLimit(availableParallelism() + 1)
conclude(
  await Promise.all(
    [...Map.groupBy(work, ({ title }) => title)].map(([title, work]) =>
      atOnce(() => runRow(title, work))
    )
  )
)
