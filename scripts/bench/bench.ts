/** Compares the bundle with its alternatives on throw-away engines, and prints tables. Options: see `--help`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { findStores, type Store } from './bed.ts'
import { formatTime } from './figures.ts'
import { useOwnFolder } from './folder.ts'
import { measureGrowth } from './growth.ts'
import { measureIdle } from './idle.ts'
import { readOptions, usage, type Options, type Part } from './options.ts'
import { putTables } from './page.ts'
import { measurePlanning } from './plan.ts'
import { measureStart } from './startup.ts'
import { measureSmall, measureSweep } from './sweep.ts'

type Measure = (stores: readonly Store[], options: Options) => Promise<string>

const measures = {
  sweep: measureSweep,
  idle: measureIdle,
  small: measureSmall,
  growth: measureGrowth,
  plan: (_, options) => measurePlanning(options),
  start: (_, options) => measureStart(options)
} satisfies Record<Part, Measure>

const titles: Record<Part, string> = {
  sweep: 'Sweep',
  idle: 'Nothing to do',
  small: 'Little to do',
  growth: 'Growth',
  plan: 'The plan alone',
  start: 'Start'
}

function describeRun(
  stores: readonly Store[],
  { rounds, scale }: Options
): string {
  const gigabytes = (totalmem() / 1_000_000_000).toFixed(0)
  const facts = [
    ...stores.map(({ name, version }) => `Docker ${version} (${name})`),
    `Node ${process.version.slice(1)}`,
    `Linux ${release().split('.').slice(0, 2).join('.')}`,
    `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, ${gigabytes} GB`,
    new Date().toISOString().slice(0, 10),
    `rounds: ${rounds}`,
    ...(scale === 1 ? [] : [`scale: ${scale}`])
  ]
  return `Measured on: ${facts.join('; ')}.`
}

/** One part on one store, or on none; `key` marks its tables in the page. */
type Measurement = { part: Part; key: string; used: Store[] }

async function main(options: Options): Promise<void> {
  useOwnFolder()
  const withoutEngine = (part: Part) => part === 'plan' || part === 'start'
  const stores = options.parts.every(withoutEngine)
    ? []
    : await findStores(options.stores)
  const text: string[] = []
  // Separate tables per store: a full run takes hours and may be spread over several days.
  const measurements = options.parts.flatMap<Measurement>((part) =>
    withoutEngine(part)
      ? [{ part, key: part, used: [] }]
      : stores.map((store) => ({
          part,
          key: `${part} ${store.name}`,
          used: [store]
        }))
  )
  const page = join(import.meta.dirname, '../../docs/benchmarks.md')
  for (const { part, key, used } of measurements) {
    const start = Date.now()
    const lines = await measures[part](used, options)
    const table = `${lines.trim()}\n\n${describeRun(used, options)}`
    text.push(`## ${titles[part]}\n\n${table}\n`)
    console.log(text.at(-1))
    console.error(`${key} took ${formatTime(Date.now() - start)}`)
    if (options.out !== undefined) writeFileSync(options.out, text.join('\n'))
    if (options.write)
      writeFileSync(
        page,
        await putTables(readFileSync(page, 'utf8'), { [key]: table })
      )
  }
}

if (process.argv.includes('--help')) console.log(usage)
else await main(readOptions(process.argv.slice(2)))
