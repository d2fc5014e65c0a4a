import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { hostname, release } from 'node:os'
import type { Engine } from '../model/inventory.ts'

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
