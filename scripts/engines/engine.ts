import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { exists, unpackPackages } from './packages.ts'

/** A private engine that shares nothing with any other, and leaves nothing behind. */
export type ThrowawayEngine = {
  /** For DOCKER_HOST. */
  host: string
  /** A Docker CLI that fits it. */
  docker: string
  /** The process ID of its dockerd, or of Podman's service. */
  pid: number
  /** What a command has to begin with to be in the engine's network; nothing where that is the machine's. */
  inNetwork: readonly string[]
  /** Everything that it has lies in here, and goes with it. */
  folder: string
  /** Sends a signal to its dockerd. */
  signal: (name: 'KILL' | 'STOP' | 'CONT') => Promise<void>
  /** Ends its dockerd at once, and starts another one on the same data. */
  restart: () => Promise<void>
  /** Copies its data to a new folder, from which other engines can start; nothing may be under way. */
  save: (folder: string) => Promise<void>
  stop: () => Promise<void>
}

const keeper = join(import.meta.dirname, 'engine-keeper.sh')
const whatIsNeeded =
  'needed is Linux with root (or sudo), and either dockerd, containerd and runc on PATH, or Debian or Ubuntu with apt'

// The folder of dockerd is not on everybody's PATH.
const systemPath =
  '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const defaultPath = `${process.env['PATH'] ?? ''}:${systemPath}`

/** Where the programs of an engine are, and the environment that they need. */
type Programs = { env: Record<string, string>; docker: string; root: string }

/**
 * Starts a private dockerd with a containerd of its own in a new folder, from the programs of this machine, or from
 * unpacked packages of its distribution. Ready when it returns. Ends, with all that it made, at `stop()` and also when
 * this process ends in whatever way. Throws an Error that says what is needed where it cannot start one.
 *
 * @param options.kind Docker, or Podman with the API that it offers to Docker's CLI: that needs a `root`
 * @param options.flags more options for dockerd
 * @param options.store the image store, instead of the one that dockerd prefers
 * @param options.root a folder with a system to run it in, instead of this one
 * @param options.dataSize how large a disk of its own the data has, such as `64m`
 * @param options.data a folder with data to begin with, see `save`
 * @param options.path where programs are looked for
 */
export async function startEngine({
  kind = 'docker',
  flags = [],
  store,
  root = '/',
  dataSize = '',
  data,
  path = defaultPath
}: {
  kind?: 'docker' | 'podman'
  flags?: readonly string[]
  store?: string | undefined
  root?: string
  dataSize?: string
  data?: string | undefined
  path?: string
} = {}): Promise<ThrowawayEngine> {
  if (process.platform !== 'linux')
    throw new Error(
      `No throw-away engine can be started here: ${whatIsNeeded}.`
    )
  const asRoot = await rootPrefix(path)
  const podman = kind === 'podman'
  if (podman && root === '/')
    throw new Error('Podman is started only in a system of its own: no root.')
  const programs =
    root === '/' ? await findPrograms(path) : await programsIn(root, podman)
  // A socket's path may have no more than 107 characters: not in TMPDIR, which can be anywhere.
  const folder = await mkdtemp('/tmp/docker-reclaim-')
  await writeFile(join(folder, 'daemon.json'), JSON.stringify(daemonConfig))
  await writeFile(join(folder, 'containerd.toml'), containerdConfig(folder))
  if (data !== undefined) await copyAs(asRoot, data, join(folder, 'data'))
  const env = {
    ...programs.env,
    ...(podman && (await configurePodman(folder)))
  }

  const group = String(process.getgid?.() ?? 0)
  const [command = '', ...args] = [
    ...asRoot,
    'env',
    ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    'unshare',
    '--mount',
    // Podman makes bridges and rules of a firewall as it likes.
    ...(podman ? ['--net'] : []),
    'sh',
    keeper,
    folder,
    programs.root,
    dataSize,
    kind,
    ...(podman ? [group] : ['--group', group, ...storeFlags(store), ...flags])
  ]
  const child = spawn(command, args, {
    stdio: ['pipe', 'ignore', 'inherit'],
    // Out of reach of the terminal's Ctrl-C.
    detached: true
  })
  const ended = once(child, 'exit')
  const stop = async () => {
    child.stdin.end()
    await ended
  }
  const { docker } = programs
  const host = `unix://${join(folder, 'docker.sock')}`
  const daemon = join(folder, podman ? 'podman' : 'dockerd')
  const ready = async () => {
    await waitUntilReady(docker, host, `${daemon}.log`)
    return Number(await readFile(`${daemon}.pid`, 'utf8'))
  }
  const signal = async (name: string) => {
    const [kill, ...words] = [...asRoot, 'kill', '-s', name]
    await execa(kill, [...words, String(engine.pid)])
  }
  const restart = async () => {
    await signal('KILL').catch(() => undefined)
    child.stdin.write('restart\n')
    engine.pid = await ready()
  }
  const save = async (to: string) => {
    await signal('STOP')
    await copyAs(asRoot, join(folder, 'data'), to)
    await signal('CONT')
  }
  const inNetwork: string[] = []
  const engine = {
    ...{ host, docker, pid: 0, inNetwork, folder },
    ...{ signal, restart, save, stop }
  }
  try {
    engine.pid = await ready()
    if (podman) {
      const pid = await readFile(join(folder, 'network.pid'), 'utf8')
      inNetwork.push(...asRoot, 'nsenter', '--net', '--target', pid.trim())
    }
    return engine
  } catch (error) {
    await stop()
    throw error
  }
}

/** An image store as options of dockerd: a storage driver, or `containerd` for the containerd image store. */
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

async function rootPrefix(path: string): Promise<string[]> {
  if (process.getuid?.() === 0) return []
  if ((await find('sudo', path)) === undefined)
    throw new Error(`No throw-away engine without root: ${whatIsNeeded}.`)
  // Asks for the password while there is a terminal to ask on.
  await execa('sudo', ['--validate'], { stdio: 'inherit' })
  return ['sudo']
}

async function findPrograms(path: string): Promise<Programs> {
  const needed = ['dockerd', 'containerd', 'runc', 'docker']
  const found = await Promise.all(needed.map((one) => find(one, path)))
  if (!found.includes(undefined))
    return { env: { PATH: path }, docker: found[3] ?? '', root: '/' }
  const apt = await Promise.all(
    ['apt-get', 'dpkg'].map((one) => find(one, path))
  )
  if (apt.includes(undefined))
    throw new Error(
      `No throw-away engine can be started here: ${whatIsNeeded}.`
    )
  const root = await unpackPackages(['docker.io', 'containerd', 'runc'], {
    // Parts that one release has on their own, and another one within docker.io.
    optional: ['docker-cli', 'tini', 'libdevmapper1.02.1']
  })
  return {
    env: {
      PATH: `${root}/usr/sbin:${root}/usr/bin:${systemPath}`,
      LD_LIBRARY_PATH: (await libraryFolders(root)).join(':')
    },
    docker: `${root}/usr/bin/docker`,
    root: '/'
  }
}

async function programsIn(root: string, podman: boolean): Promise<Programs> {
  const docker = `${root}/usr/bin/docker`
  // Our own TMPDIR need not be there.
  const env = { PATH: systemPath, TMPDIR: '/tmp' }
  if (await exists(docker)) return { env, docker, root }
  if (!podman) throw new Error(`There is no ${docker}.`)
  return { env, docker: await findDocker(), root }
}

/** The CLI that the engines of this machine come with. */
export async function findDocker(): Promise<string> {
  return (await findPrograms(defaultPath)).docker
}

async function find(
  program: string,
  path: string
): Promise<string | undefined> {
  for (const folder of path.split(':'))
    if (await exists(join(folder, program))) return join(folder, program)
  return undefined
}

/** The folders of libraries in an unpacked package, such as `lib/x86_64-linux-gnu`. */
async function libraryFolders(root: string): Promise<string[]> {
  const bases = [join(root, 'lib'), join(root, 'usr/lib')]
  const lists = await Promise.all(
    bases.map(async (base) => {
      const names = await readdir(base).catch(() => [])
      return names
        .filter((name) => name.endsWith('-linux-gnu'))
        .map((name) => join(base, name))
    })
  )
  return lists.flat()
}

/** Engines side by side share the machine's addresses: with Docker's own pools they have 31 networks in all. */
const daemonConfig = {
  'default-address-pools': [{ base: '10.213.0.0/16', size: 28 }]
}

/** Its own containerd: dockerd would take the machine's, which another engine may be using. */
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

/** The configuration of a Podman that keeps everything in its folder; returns the environment that it needs. */
async function configurePodman(
  folder: string
): Promise<Record<string, string>> {
  const files = {
    CONTAINERS_CONF: [
      '[engine]',
      'cgroup_manager = "cgroupfs"',
      'events_logger = "file"',
      `events_logfile_path = "${folder}/events.log"`,
      '[containers]',
      'log_driver = "k8s-file"',
      // Whatever limits the machine sets for us, these are below them.
      'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]'
    ],
    CONTAINERS_STORAGE_CONF: [
      '[storage]',
      'driver = "overlay"',
      `graphroot = "${folder}/data"`,
      `runroot = "${folder}/run"`
    ],
    // The registries of the tests have no certificate.
    CONTAINERS_REGISTRIES_CONF: [
      '[[registry]]',
      'location = "127.0.0.1"',
      'insecure = true'
    ]
  }
  await mkdir(join(folder, 'temporary'))
  await mkdir(join(folder, 'bin'))
  // In a network of its own there is nothing for a firewall to do; Podman wants one all the same.
  for (const name of ['iptables', 'ip6tables'])
    await writeFile(
      join(folder, 'bin', name),
      '#!/bin/dash\n[ "$1" != --version ] || echo "iptables v1.8.9"\n',
      { mode: 0o755 }
    )
  const variables = await Promise.all(
    Object.entries(files).map(async ([name, lines]) => {
      const path = join(folder, `${name}.conf`)
      await writeFile(path, `${lines.join('\n')}\n`)
      return [name, path] as const
    })
  )
  return {
    ...Object.fromEntries(variables),
    NETAVARK_FW: 'iptables',
    PATH: `${join(folder, 'bin')}:${systemPath}`,
    HOME: folder,
    TMPDIR: join(folder, 'temporary')
  }
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
