/**
 * Runs tests on engines of one row, one per jest worker, and exits with jest's code.
 *
 *   node scripts/engines/row.ts ROW WORKERS [jest's arguments]
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { startEngine } from './engine.ts'
import { createCli } from '../fixtures/fixtures.ts'
import { matrix, own, prepare } from './rows.ts'

const [name, workers = '1', ...args] = process.argv.slice(2)
const row = [own, ...matrix].find((one) => one.name === name)
if (row === undefined) throw new Error(`Unknown row: ${name}`)
const { kind, major, store } = row

const root = await prepare(row)
const start = () =>
  startEngine({
    ...{ kind, store, dataSize: '4g' },
    ...(root !== undefined && { root })
  })
const others = Array.from({ length: Number(workers) - 1 }, start)
const first = await start()
const engines = [first, ...(await Promise.all(others))]
// Files of interrupted tests disappear with the engine.
const temporary = join(first.folder, 'tests')
await mkdir(temporary)
try {
  const version = await createCli(first)(
    'version',
    ...['--format', '{{.Server.Version}}']
  )
  console.log(`${name}: ${kind} ${version}`)
  if (major > 0 && !version.startsWith(`${major}.`))
    throw new Error(
      `${root} has version ${version}: rename the row ${name} and test it.`
    )
  const { exitCode } = await execa(
    'npm',
    ['run', '--silent', 'jest', '--', `--maxWorkers=${workers}`, ...args],
    {
      cwd: join(import.meta.dirname, '../..'),
      env: {
        TMPDIR: temporary,
        ENGINES: JSON.stringify(engines),
        ENGINE_KIND: kind,
        ENGINE_ROOT: root,
        ENGINE_STORE: store
      },
      stdio: 'inherit',
      reject: false
    }
  )
  process.exitCode = exitCode ?? 1
} finally {
  await Promise.all(engines.map((engine) => engine.stop()))
}
