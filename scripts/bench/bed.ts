import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { startEngine, type ThrowawayEngine } from '../engines/engine.ts'
import { createCli, type Cli } from '../fixtures/fixtures.ts'
import { unpackSystem } from '../engines/packages.ts'
import { runStep, type Step } from '../engines/step.ts'
import { fill, type Load } from './loads.ts'

/** An engine with one of the image stores; `system` has options of `startEngine`. */
export type Store = {
  name: string
  system: { root?: string; store?: string }
  version: string
}

/** Saved data of a filled engine. Every measurement starts from a copy. */
export type State = {
  store: Store
  load: Load
  /** IDs of the images to remove. */
  toRemove: string[]
  folder: string
}

/** A running engine to measure on. */
export type Bed = {
  engine: ThrowawayEngine
  docker: Cli
  load: Load
  /** IDs of the images to remove. */
  toRemove: string[]
  /** Contains these IDs, one per line. */
  toRemoveFile: string
  /** Working folder. */
  folder: string
}

const buildx = 'usr/libexec/docker/cli-plugins/docker-buildx'
const packages = ['docker.io', 'docker-cli', 'docker-buildx']

/** Finds the engine in `root`, by default Debian's newest, with both image stores, or else this machine's engine. */
export async function findStores(
  only: readonly string[],
  root?: string
): Promise<Store[]> {
  root ??= await unpackSystem('sid', packages).catch((error: unknown) => {
    console.error(`Measuring only this machine's engine: ${String(error)}`)
    return undefined
  })
  const all: Pick<Store, 'name' | 'system'>[] =
    root === undefined
      ? [{ name: 'own', system: {} }]
      : ['overlay2', 'containerd'].map((store) => ({
          name: store,
          system: { root, store }
        }))
  const selected = all.filter(
    ({ name }) => only.length === 0 || only.includes(name)
  )
  if (selected.length === 0)
    throw new Error(
      `--store must be one of: ${all.map(({ name }) => name).join(', ')}`
    )
  const stores = []
  for (const store of selected) {
    const engine = await startEngine(store.system)
    try {
      const docker = createCli(engine)
      const version = await docker('version', '--format', '{{.Server.Version}}')
      stores.push({ ...store, version })
    } finally {
      await engine.stop()
    }
  }
  return stores
}

/** Fills an engine and saves its data. */
export async function prepare(store: Store, load: Load): Promise<State> {
  const folder = await mkdtemp(join(tmpdir(), 'state-'))
  const engine = await startEngine(store.system)
  try {
    await fill(engine, load)
    const toRemove = await listToRemove(createCli(engine), load)
    await engine.save(join(folder, 'data'))
    return { store, load, toRemove, folder }
  } finally {
    await killEngine(engine)
  }
}

/** Deletes saved data. */
export async function discard({ folder }: State): Promise<void> {
  await asRoot('rm', '-rf', folder)
}

/** Runs `body` on a warmed-up engine with a copy of the data. */
export async function onCopy<T>(
  { store, load, toRemove, folder: from }: State,
  body: (bed: Bed) => Promise<T>
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'bed-'))
  const engine = await startEngine({
    ...store.system,
    data: join(from, 'data')
  })
  try {
    const docker = createCli(engine)
    await docker('image', 'ls', '--quiet')
    const toRemoveFile = join(folder, 'to-remove')
    await writeFile(toRemoveFile, toRemove.map((id) => `${id}\n`).join(''))
    await mkdir(join(folder, '.docker/cli-plugins'), { recursive: true })
    // The CLI does not look for plugins in the other system.
    if (store.system.root !== undefined)
      await symlink(
        join(store.system.root, buildx),
        join(folder, '.docker', buildx.slice(buildx.indexOf('cli-plugins')))
      )
    // Writes pending from the copy must not slow down the measurement.
    await execa('sync')
    return await body({
      ...{ engine, docker, load, toRemove, toRemoveFile, folder }
    })
  } finally {
    await killEngine(engine)
    await rm(folder, { recursive: true })
  }
}

/** Kills an engine before its clean-up, which would remove containers one by one. */
async function killEngine(engine: ThrowawayEngine): Promise<void> {
  await engine.signal('KILL').catch(() => undefined)
  await engine.stop()
}

/** Returns all references, each with the image's ID. */
export async function listImages(docker: Cli): Promise<[string, string][]> {
  const format = '{{.Repository}}:{{.Tag}} {{.ID}}'
  const text = await docker('image', 'ls', '--no-trunc', '--format', format)
  return text.split('\n').map((line) => {
    const [reference = '', id = ''] = line.split(' ')
    return [reference, id]
  })
}

async function listToRemove(docker: Cli, { staying }: Load): Promise<string[]> {
  const stays = new Set(staying)
  const images = await listImages(docker)
  return images
    .filter(([reference]) => !stays.has(reference))
    .map(([, id]) => id)
}

/** Throws unless exactly the images in `staying` remain. */
export async function checkRemaining({ docker, load }: Bed): Promise<void> {
  const remaining = (await listImages(docker)).map(([reference]) => reference)
  const expected = new Set(load.staying)
  const wrong = remaining.filter((reference) => !expected.has(reference))
  if (wrong.length > 0 || remaining.length !== expected.size)
    throw new Error(
      `${remaining.length} images remain, expected ${expected.size}; unexpected: ${wrong.slice(0, 5).join(', ')}`
    )
}

/** Runs a command against the engine; returns its duration in milliseconds. */
export async function timeCommand(
  { engine, folder }: Bed,
  command: string,
  args: readonly string[]
): Promise<number> {
  const { durationMs } = await execa(command, args, {
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      DOCKER_HOST: engine.host,
      DOCKER_CONFIG: join(folder, '.docker')
    },
    extendEnv: false,
    stdin: 'ignore'
  })
  return durationMs
}

/** Runs the bundle against the engine, without a state directory unless set in the inputs; throws if it fails. */
export async function runBundle(
  { engine, folder }: Bed,
  inputs: Record<string, string>,
  env: Record<string, string> = {}
): Promise<Step> {
  const step = await runStep(
    { docker: engine.docker, 'state-dir': '', ...inputs },
    {
      DOCKER_HOST: engine.host,
      DOCKER_CONFIG: join(folder, '.docker'),
      ...env
    }
  )
  if (step.exitCode !== 0)
    throw new Error(`The bundle failed:\n${step.stdout.slice(-4_000)}`)
  return step
}

/** Runs a command on files of engines, which belong to root. */
async function asRoot(command: string, ...args: string[]): Promise<void> {
  if (process.getuid?.() === 0) await execa(command, args)
  else await execa('sudo', [command, ...args])
}
