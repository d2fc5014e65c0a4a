/**
 * Runs a suite on every engine of its matrix, several in parallel. Requires Debian and root, and downloads packages on
 * first use.
 *
 *   node scripts/engines/index.ts contract|world [--engine NAME] [--shard 2/6] [jest's arguments]
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
const [suite, ...patterns] = positionals
if (suite !== 'contract' && suite !== 'world')
  throw new Error('Choose a suite: contract or world')

/** Selects this shard's test files for each engine. */
async function findWork(
  suite: keyof typeof rowsOf
): Promise<Map<Row, string[]>> {
  const rows = rowsOf[suite].filter(
    ({ name }) => values.engine?.includes(name) ?? true
  )
  const files = (await readdir(join('__tests__/engine', suite))).filter(
    (file) =>
      file.endsWith('.test.ts') &&
      (patterns.length === 0 || patterns.some((one) => file.includes(one)))
  )
  const all = rows.flatMap((row) =>
    files
      .filter((file) => row.kind === 'podman' || file !== 'podman.test.ts')
      .map((file) => ({ row, file }))
  )
  const [part, parts] = readShard(values.shard)
  const mine = all.slice(
    Math.round((all.length * (part - 1)) / parts),
    Math.round((all.length * part) / parts)
  )
  if (mine.length === 0)
    throw new Error(
      `No tests match. Engines: ${matrix.map(({ name }) => name).join(', ')}; files: ${files.join(', ')}`
    )
  return new Map(
    [...Map.groupBy(mine, ({ row }) => row)].map(([row, work]) => [
      row,
      work.map(({ file }) => join('__tests__/engine', suite, file))
    ])
  )
}

function readShard(text: string): [number, number] {
  const [, part, parts] = /^(\d+)\/(\d+)$/.exec(text)?.map(Number) ?? []
  if (!part || !parts || part > parts)
    throw new Error(`--shard must be a fraction such as 2/6, not ${text}`)
  return [part, parts]
}

const runRow = ({ name }: Row, files: string[]): Promise<Outcome> =>
  runTests(name, [
    ...[process.execPath, 'scripts/engines/row.ts', name, '1', ...files],
    ...(values.testNamePattern ? ['-t', values.testNamePattern] : [])
  ])

process.chdir(join(import.meta.dirname, '../..'))
const work = await findWork(suite)
// Rows of the same release share apt's lists, so they are prepared one by one.
const releases = Map.groupBy(work.keys(), ({ suite, kind }) => suite ?? kind)
await Promise.all(
  [...releases.values()].map(async (rows) => {
    for (const row of rows) await prepare(row)
  })
)
// One more than cores, as tests also wait.
const atOnce = pLimit(availableParallelism() + 1)
conclude(
  await Promise.all(
    [...work].map(([row, files]) => atOnce(() => runRow(row, files)))
  )
)
