import { existsSync } from 'node:fs'
import { access, readFile, stat, statfs } from 'node:fs/promises'
import { hostname, release } from 'node:os'
import { dirname, join } from 'node:path'
import type { Engine } from '../model/inventory.ts'

/** Bytes free for users and bytes used. A filesystem such as btrfs counts no inodes. */
export type Space = {
  freeBytes: number
  usedBytes: number
  freeInodes?: number
  totalInodes?: number
}

const onImageStore = ['images', 'containers', 'build-cache'] as const
const onRootDir = ['volumes', 'logs'] as const

export const diskContents = [...onImageStore, ...onRootDir] as const

/** A disk that holds data of the engine, by a folder on it. */
export type Disk = {
  path: string
  holds: (typeof diskContents)[number][]
  before: Space
}

/** Where a containerd that dockerd did not start has its configuration and, unless that says otherwise, its data. */
const systemContainerd = {
  config: '/etc/containerd/config.toml',
  root: '/var/lib/containerd'
}

/**
 * The disks that hold the engine's data, that of DockerRootDir first. None where they cannot be read: the engine runs
 * on another host or in a virtual machine, or this process in a container.
 */
export async function findDisks(
  engine: Engine,
  endpoint: string,
  {
    platform,
    containerd = systemContainerd
  }: { platform?: string; containerd?: typeof systemContainerd } = {}
): Promise<Disk[]> {
  const away = await whyNotHere(engine, endpoint, platform)
  if (away !== undefined || engine.rootDir === '') return []
  const images = await findImageStore(engine, containerd)
  const disks = await Promise.all(
    (await partition(engine.rootDir, images)).map(async (disk) => {
      const before = await readSpace(disk.path)
      return before === undefined ? [] : [{ ...disk, before }]
    })
  )
  return disks.flat()
}

/** The space of the disk under a folder; undefined where it cannot be read. */
export async function readSpace(path: string): Promise<Space | undefined> {
  const space = await statfs(path).catch(() => undefined)
  if (space === undefined) return undefined
  const { bavail, bfree, blocks, bsize, files, ffree } = space
  return {
    freeBytes: bavail * bsize,
    usedBytes: (blocks - bfree) * bsize,
    ...(files > 0 && { freeInodes: ffree, totalInodes: files })
  }
}

async function findImageStore(
  { store, rootDir, containerdAddress }: Engine,
  system: typeof systemContainerd
): Promise<string> {
  if (store !== 'containerd') return rootDir
  // Docker before 27 does not say which containerd it uses.
  if (containerdAddress === undefined)
    return existsSync(system.root) ? system.root : rootDir
  return (await isOfDockerd(containerdAddress))
    ? rootDir
    : ((await readRoot(system.config)) ?? system.root)
}

/** Dockerd writes the configuration of a containerd that it starts beside its socket. */
async function isOfDockerd(address: string): Promise<boolean> {
  try {
    await access(join(dirname(address), 'containerd.toml'))
    return true
  } catch (error) {
    // Dockerd's folder is closed to all but root, that of the system's containerd is not.
    return error instanceof Error && 'code' in error && error.code === 'EACCES'
  }
}

/** The folder that a configuration of containerd names for its data. */
async function readRoot(config: string): Promise<string | undefined> {
  const text = await readFile(config, 'utf8').catch(() => '')
  const [topLevel = ''] = text.split(/^\s*\[/m)
  return /^\s*root\s*=\s*(["'])(.+?)\1/m.exec(topLevel)?.[2]
}

/** One disk where both folders are on the same, else one for each. */
async function partition(
  rootDir: string,
  images: string
): Promise<Omit<Disk, 'before'>[]> {
  const [own, other] = await Promise.all([rootDir, images].map(readDevice))
  if (own === undefined) return []
  if (own === other) return [{ path: rootDir, holds: [...diskContents] }]
  const disk = { path: rootDir, holds: [...onRootDir] }
  return other === undefined
    ? [disk]
    : [disk, { path: images, holds: [...onImageStore] }]
}

async function readDevice(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found?.dev
}

/** Why the engine is not on the host that this process sees; undefined where it is. */
export async function whyNotHere(
  { name, kernel }: Pick<Engine, 'name' | 'kernel'>,
  endpoint: string,
  platform: string = process.platform
): Promise<string | undefined> {
  // On macOS and Windows the engine runs in a virtual machine, with a disk of its own.
  if (platform !== 'linux') return `this host is no Linux, but ${platform}`
  // A socket may be forwarded from a host of the same kind, or be that of an engine in a container.
  const same = name === hostname() && kernel === release()
  if (!endpoint.startsWith('unix://') || !same)
    return 'the engine runs on another host'
  return (await inContainer()) ? 'this runner is in a container' : undefined
}

/** A container's root is an overlay or a folder of another filesystem; a marker file alone may be left in an image. */
async function inContainer(): Promise<boolean> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '')
  const root = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .find((fields) => fields[4] === '/')
  const type = root?.[root.indexOf('-') + 1] ?? 'overlay'
  const marked = ['/.dockerenv', '/run/.containerenv'].some(existsSync)
  return /overlay|aufs/.test(type) || (marked && root?.[3] !== '/')
}
