import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { startEngine, type ThrowawayEngine } from '../engines/engine.ts'
import { createCli, type Cli } from '../fixtures/fixtures.ts'
import { unpackSystem } from '../engines/packages.ts'
import { runStep, type Step } from '../engines/step.ts'
import { fill, type Load } from './loads.ts'

/** An engine that is measured: how to start it, and what it is. */
export type Store = {
  name: string
  system: { root?: string; store?: string }
  version: string
}

/** A filled engine's data, for engines that all begin with the same. */
export type State = {
  store: Store
  load: Load
  /** The IDs of the images that are to go, as `docker image ls` has them. */
  going: string[]
  folder: string
}

/** An engine to measure on, for one measurement. */
export type Bed = {
  engine: ThrowawayEngine
  docker: Cli
  load: Load
  going: string[]
  /** The same, one a line. */
  goingFile: string
  /** For files of its own. */
  folder: string
}

const buildx = 'usr/libexec/docker/cli-plugins/docker-buildx'
const packages = ['docker.io', 'docker-cli', 'docker-buildx']

/** The newest engine that Debian has, with both image stores; where it cannot be had, that of the machine. */
export async function findStores(only: readonly string[]): Promise<Store[]> {
  const root = await unpackSystem('sid', packages).catch((error: unknown) => {
    console.error(`Only the machine's own engine: ${String(error)}`)
    return undefined
  })
  const all: Pick<Store, 'name' | 'system'>[] =
    root === undefined
      ? [{ name: 'own', system: {} }]
      : ['overlay2', 'containerd'].map((store) => ({
          name: store,
          system: { root, store }
        }))
  const asked = all.filter(
    ({ name }) => only.length === 0 || only.includes(name)
  )
  if (asked.length === 0)
    throw new Error(`--store takes ${all.map(({ name }) => name).join(', ')}`)
  const stores = []
  for (const store of asked) {
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

/** Fills an engine once, and keeps its data. */
export async function prepare(store: Store, load: Load): Promise<State> {
  const folder = await mkdtemp(join(tmpdir(), 'state-'))
  const engine = await startEngine(store.system)
  try {
    await fill(engine, load)
    const going = await listGoing(createCli(engine), load)
    await engine.save(join(folder, 'data'))
    return { store, load, going, folder }
  } finally {
    await end(engine)
  }
}

/** Gives away the data of a filled engine. */
export async function discard({ folder }: State): Promise<void> {
  await asRoot('rm', '-rf', folder)
}

/** Starts an engine on a copy of the data, warms it up, and ends it afterwards. */
export async function onCopy<T>(
  { store, load, going, folder: from }: State,
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
    const goingFile = join(folder, 'going')
    await writeFile(goingFile, going.map((id) => `${id}\n`).join(''))
    await mkdir(join(folder, '.docker/cli-plugins'), { recursive: true })
    // The CLI of another system would look for its plugin in this one.
    if (store.system.root !== undefined)
      await symlink(
        join(store.system.root, buildx),
        join(folder, '.docker', buildx.slice(buildx.indexOf('cli-plugins')))
      )
    // What copying the data has left to write is not the contender's.
    await execa('sync')
    return await body({ engine, docker, load, going, goingFile, folder })
  } finally {
    await end(engine)
    await rm(folder, { recursive: true })
  }
}

/** Ends an engine that nobody needs any more: at once, for it would take its containers away one by one. */
async function end(engine: ThrowawayEngine): Promise<void> {
  await engine.signal('KILL').catch(() => undefined)
  await engine.stop()
}

async function listImages(docker: Cli): Promise<[string, string][]> {
  const format = '{{.Repository}}:{{.Tag}} {{.ID}}'
  const text = await docker('image', 'ls', '--no-trunc', '--format', format)
  return text.split('\n').map((line) => {
    const [reference = '', id = ''] = line.split(' ')
    return [reference, id]
  })
}

async function listGoing(docker: Cli, { staying }: Load): Promise<string[]> {
  const stays = new Set(staying)
  const images = await listImages(docker)
  return images
    .filter(([reference]) => !stays.has(reference))
    .map(([, id]) => id)
}

/** Throws where not exactly the images are left that have to be. */
export async function checkLeft({ docker, load }: Bed): Promise<void> {
  const left = (await listImages(docker)).map(([reference]) => reference)
  const wanted = new Set(load.staying)
  const wrong = left.filter((reference) => !wanted.has(reference))
  if (wrong.length > 0 || left.length !== wanted.size)
    throw new Error(
      `${left.length} images are left, not ${wanted.size}; wrong are: ${wrong.slice(0, 5).join(', ')}`
    )
}

/** Runs a command on the engine to its end; returns the milliseconds that it took. */
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

/** Runs the bundle on the engine, with no memory but that of the inputs; throws where it failed. */
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

/** What engines leave belongs to root. */
async function asRoot(command: string, ...args: string[]): Promise<void> {
  if (process.getuid?.() === 0) await execa(command, args)
  else await execa('sudo', [command, ...args])
}
