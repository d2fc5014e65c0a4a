/**
 * Demonstrates the action on a throw-away engine: a dry run, a run, and the effect.
 *
 *   npm run demo [-- --store containerd]
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { execa } from 'execa'
import { stringify } from 'yaml'
import {
  findDocker,
  startEngine,
  type ThrowawayEngine
} from '../engines/engine.ts'
import { matrix, prepare } from '../engines/rows.ts'
import { runStep } from '../engines/step.ts'
import { createCli } from '../fixtures/fixtures.ts'
import { fill } from './fill.ts'

const inputs = {
  'keep-last': 2,
  until: '0s',
  'protected-images': 'postgres',
  'include-volumes': 'anonymous'
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { store: { type: 'string' } } })
  printTitle('Starting a throw-away engine; your own is not touched')
  const engine = await start(values.store)
  try {
    await demonstrate(engine)
  } finally {
    await engine.stop()
    console.log('\nThe throw-away engine and all its data are deleted.')
  }
  printTitle('What to try next')
  console.log(describeNext(values.store))
}

async function demonstrate(engine: ThrowawayEngine): Promise<void> {
  const env = {
    DOCKER_HOST: engine.host,
    DOCKER_CONFIG: await writeConfig(engine),
    PATH: `${dirname(engine.docker)}:${process.env['PATH'] ?? ''}`
  }
  const docker = createCli(engine, env)
  const format = 'Docker {{.ServerVersion}}, storage driver {{.Driver}}'
  console.log(`${await docker('info', '--format', format)}, at ${engine.host}`)
  printTitle('Filling it like a runner after some days of builds')
  await fill(engine, env)
  const before = await docker('system', 'df')
  console.log(before)

  const run = (all: Record<string, string | number | boolean>) => {
    console.log(`${describeStep(all)}\n`)
    const texts = Object.entries(all).map(
      ([name, value]) => [name, String(value)] as const
    )
    return runStep(Object.fromEntries(texts), env, { show: true })
  }
  printTitle('A dry run')
  await run({ ...inputs, 'dry-run': true })
  printTitle('The same for real')
  const step = await run(inputs)
  printTitle('Job summary of the real run, in Markdown')
  console.log(step.summary)
  printTitle('docker system df, before and after')
  console.log(`${before}\n\n${await docker('system', 'df')}`)
  printTitle('What was kept')
  console.log(await docker('image', 'ls'))
  console.log(
    await docker(
      ...['container', 'ls', '--all', '--format'],
      'table {{.Names}}\t{{.Image}}\t{{.Status}}'
    )
  )
  console.log(await docker('volume', 'ls'))
  process.exitCode = step.exitCode ?? 1
}

function start(store: string | undefined): Promise<ThrowawayEngine> {
  if (store === undefined || store === 'overlay2') return startEngine({ store })
  if (store === 'containerd') return startOnContainerd()
  throw new Error(
    `Unknown image store: ${store}. Use --store overlay2 or --store containerd.`
  )
}

/** Starts this machine's engine if it is new enough, else that of Debian's packages. */
async function startOnContainerd(): Promise<ThrowawayEngine> {
  const store = 'containerd'
  const row = matrix.find((one) => one.store === store)
  if (row === undefined) throw new Error('no row has this store')
  const { stdout } = await execa(await findDocker(), ['--version'])
  const major = Number(/\d+/.exec(stdout)?.[0] ?? 0)
  if (major >= row.major) return startEngine({ store })
  console.log(
    `The containerd image store requires Docker ${row.major}. This machine has ${stdout}: using Docker from Debian ${row.suite} instead.`
  )
  const root = await prepare(row).catch((error: unknown) => {
    throw new Error(
      `--store containerd is not possible here: it requires Docker ${row.major} or Debian with apt. ${String(error)}`
    )
  })
  return startEngine({ store, ...(root !== undefined && { root }) })
}

/** Writes a configuration of the CLI that finds the plugins of the engine's packages, and returns its folder. */
async function writeConfig({
  docker,
  folder
}: ThrowawayEngine): Promise<string> {
  const config = join(folder, 'config')
  const plugins = join(dirname(docker), '../libexec/docker/cli-plugins')
  await mkdir(config)
  await writeFile(
    join(config, 'config.json'),
    JSON.stringify({ cliPluginsExtraDirs: [plugins] })
  )
  return config
}

function describeNext(store: string | undefined): string {
  const other = store === 'containerd' ? 'overlay2  ' : 'containerd'
  return `npm run demo -- --store ${other}   the same on the other image store
npm run preview                      job summaries of larger runs, as pages in preview/
examples/                            workflows to copy

On a runner of yours, start with a dry run, which removes nothing:

${describeStep({ 'dry-run': true })}`
}

/** The step in a workflow. */
function describeStep(
  inputs: Record<string, string | number | boolean>
): string {
  return stringify([{ uses: 'OWNER/docker-reclaim@main', with: inputs }]).trim()
}

function printTitle(text: string): void {
  console.log(`\n\u001b[1m── ${text} ──\u001b[0m`)
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
