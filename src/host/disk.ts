import { existsSync } from 'node:fs'
import { access, readFile, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  type Disk,
  diskContents,
  onImageStore,
  onRootDir,
  type Space
} from '../model/disks.ts'
import type { Engine } from '../model/inventory.ts'
import { whyNotHere } from './here.ts'

/** A containerd that dockerd did not start; its configuration may name another root. */
const systemContainerd = {
  config: '/etc/containerd/config.toml',
  root: '/var/lib/containerd'
}

/** The disks that hold the engine's data, that of DockerRootDir first; none if this process cannot see them. */
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

/** The space of the disk that holds a folder; undefined if it cannot be read. */
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
  // Docker before 27 does not report its containerd.
  if (containerdAddress === undefined)
    return existsSync(system.root) ? system.root : rootDir
  return (await isOfDockerd(containerdAddress))
    ? rootDir
    : ((await readRoot(system.config)) ?? system.root)
}

/** Dockerd puts the configuration of its own containerd beside its socket. */
async function isOfDockerd(address: string): Promise<boolean> {
  try {
    await access(join(dirname(address), 'containerd.toml'))
    return true
  } catch (error) {
    // Only root may read dockerd's folder; anybody may read that of the system's containerd.
    return error instanceof Error && 'code' in error && error.code === 'EACCES'
  }
}

async function readRoot(config: string): Promise<string | undefined> {
  const text = await readFile(config, 'utf8').catch(() => '')
  const [topLevel = ''] = text.split(/^\s*\[/m)
  return /^\s*root\s*=\s*(["'])(.+?)\1/m.exec(topLevel)?.[2]
}

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
