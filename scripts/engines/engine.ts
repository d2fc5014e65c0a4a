import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { configurePodman } from './podman.ts'
import {
  defaultPath,
  findPrograms,
  findProgramsIn,
  requirements,
  sudoPrefix
} from './programs.ts'

/** A private engine: it shares nothing with other engines and leaves nothing behind. */
export type ThrowawayEngine = {
  /** Value of DOCKER_HOST. */
  host: string
  /** Path of a Docker CLI of the engine's version. */
  docker: string
  /** Process ID of dockerd or of Podman's service. */
  pid: number
  /** Command prefix that enters the engine's network; empty if that is the machine's. */
  inNetwork: readonly string[]
  /** Contains everything that the engine writes. */
  folder: string
  /** Sends a signal to the process `pid`. */
  signal: (name: 'KILL' | 'STOP' | 'CONT') => Promise<void>
  /** Kills the engine and starts it again on the same data. */
  restart: () => Promise<void>
  /** Copies the data of an idle engine to a new folder, for `startEngine({ data })`. */
  save: (folder: string) => Promise<void>
  stop: () => Promise<void>
}

/**
 * Starts a private engine, from this machine's programs or from its distribution's packages. It is ready on return, and
 * disappears on `stop()` or when this process ends, even when killed.
 *
 * @param options.kind Podman needs a `root`
 * @param options.flags further options of dockerd
 * @param options.store image store; default: dockerd's
 * @param options.root folder of another system to run the engine in
 * @param options.dataSize size of a separate disk for the data, such as `64m`
 * @param options.storeSize size of another disk for the data of containerd
 * @param options.data folder with initial data, from `save`
 * @param options.path where to look for programs
 */
export async function startEngine({
  kind = 'docker',
  flags = [],
  store,
  root = '/',
  dataSize = '',
  storeSize = '',
  data,
  path = defaultPath
}: {
  kind?: 'docker' | 'podman'
  flags?: readonly string[]
  store?: string | undefined
  root?: string
  dataSize?: string
  storeSize?: string
  data?: string | undefined
  path?: string
} = {}): Promise<ThrowawayEngine> {
  if (process.platform !== 'linux')
    throw new Error(`Cannot start a throw-away engine here: ${requirements}.`)
  const asRoot = await sudoPrefix(path)
  const podman = kind === 'podman'
  if (podman && root === '/')
    throw new Error('Podman runs only in a separate system: set `root`.')
  const { docker, ...programs } =
    root === '/' ? await findPrograms(path) : await findProgramsIn(root, kind)
  // Outside TMPDIR, because a socket's path is limited to 107 characters.
  const folder = await mkdtemp('/tmp/docker-reclaim-')
  await writeFile(join(folder, 'daemon.json'), JSON.stringify(daemonConfig))
  await writeFile(join(folder, 'containerd.toml'), containerdConfig(folder))
  if (data !== undefined) await copyAs(asRoot, data, join(folder, 'data'))
  const env = {
    ...programs.env,
    ...(podman && (await configurePodman(folder)))
  }

  const group = String(process.getgid?.() ?? 0)
  const keeper = startKeeper({ asRoot, env, ownNetwork: podman }, [
    ...[folder, programs.root, dataSize, storeSize, kind],
    ...(podman ? [group] : ['--group', group, ...storeFlags(store), ...flags])
  ])
  try {
    return await connect(keeper, { asRoot, docker, folder, kind })
  } catch (error) {
    await keeper.stop()
    throw error
  }
}

/** Finds the CLI of this machine's engine. */
export async function findDocker(): Promise<string> {
  return (await findPrograms(defaultPath)).docker
}

type Keeper = Pick<ThrowawayEngine, 'stop'> & { startAgain: () => void }

/** Starts `engine-keeper.sh` with the arguments. */
function startKeeper(
  {
    asRoot,
    env,
    ownNetwork
  }: {
    asRoot: readonly string[]
    env: Record<string, string>
    ownNetwork: boolean
  },
  keeperArgs: readonly string[]
): Keeper {
  const [command = '', ...args] = [
    ...[...asRoot, 'env'],
    ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ...['unshare', '--mount', ...(ownNetwork ? ['--net'] : [])],
    ...['sh', join(import.meta.dirname, 'engine-keeper.sh'), ...keeperArgs]
  ]
  const child = spawn(command, args, {
    stdio: ['pipe', 'ignore', 'inherit'],
    // The terminal's Ctrl-C must not reach it.
    detached: true
  })
  const exited = once(child, 'exit')
  return {
    startAgain: () => {
      child.stdin.write('restart\n')
    },
    stop: async () => {
      child.stdin.end()
      await exited
    }
  }
}

/** Waits until the engine answers, and returns its controls. */
async function connect(
  { startAgain, stop }: Keeper,
  {
    asRoot,
    docker,
    folder,
    kind
  }: {
    asRoot: readonly string[]
    docker: string
    folder: string
    kind: 'docker' | 'podman'
  }
): Promise<ThrowawayEngine> {
  const host = `unix://${join(folder, 'docker.sock')}`
  const daemon = kind === 'podman' ? 'podman' : 'dockerd'
  const readPid = async (name: string) =>
    Number(await readFile(join(folder, `${name}.pid`), 'utf8'))
  const waitForPid = async () => {
    await waitUntilReady(docker, host, join(folder, `${daemon}.log`))
    return readPid(daemon)
  }
  const signal = async (name: string) => {
    const [kill, ...args] = [...asRoot, 'kill', '-s', name]
    await execa(kill, [...args, String(engine.pid)])
  }
  const engine: ThrowawayEngine = {
    ...{ host, docker, folder, signal, stop },
    pid: await waitForPid(),
    inNetwork:
      kind === 'podman'
        ? [
            ...[...asRoot, 'nsenter', '--net'],
            ...['--target', String(await readPid('network'))]
          ]
        : [],
    restart: async () => {
      await signal('KILL').catch(() => undefined)
      startAgain()
      engine.pid = await waitForPid()
    },
    save: async (to) => {
      await signal('STOP')
      await copyAs(asRoot, join(folder, 'data'), to)
      await signal('CONT')
    }
  }
  return engine
}

async function waitUntilReady(
  docker: string,
  host: string,
  logFile: string
): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    const { exitCode } = await execa(docker, ['--host', host, 'version'], {
      reject: false
    })
    if (exitCode === 0) return
    await sleep(100)
  }
  const log = await readFile(logFile, 'utf8').catch(() => '')
  throw new Error(`The throw-away engine did not start:\n${log.slice(-4_000)}`)
}

function storeFlags(store: string | undefined): string[] {
  if (store === undefined) return []
  return store === 'containerd'
    ? ['--feature', 'containerd-snapshotter=true']
    : ['--storage-driver', store]
}

async function copyAs(
  asRoot: readonly string[],
  from: string,
  to: string
): Promise<void> {
  const [command, ...args] = [...asRoot, 'cp', '--archive', from, to]
  await execa(command, args)
}

// Engines share the machine's addresses, and Docker's default pools suffice for only 31 networks.
const daemonConfig = {
  'default-address-pools': [{ base: '10.213.0.0/16', size: 28 }]
}

/** Configures a private containerd: by default dockerd uses the machine's. */
function containerdConfig(folder: string): string {
  return [
    'version = 2',
    `root = "${folder}/data/containerd/daemon"`,
    `state = "${folder}/containerd/state"`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
    '[grpc]',
    `address = "${folder}/containerd.sock"`
  ].join('\n')
}
