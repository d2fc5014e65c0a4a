import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { hostname, release } from 'node:os'
import { join } from 'node:path'
import type { Engine } from '../model/inventory.ts'

/** Why this process cannot see the engine's host; undefined if it can. */
export async function whyNotHere(
  { name, kernel }: Pick<Engine, 'name' | 'kernel'>,
  endpoint: string,
  platform: string = process.platform
): Promise<string | undefined> {
  // On macOS and Windows the engine runs in a virtual machine.
  if (platform !== 'linux') return `this host runs ${platform}, not Linux`
  // The socket may be forwarded from another host, or belong to an engine in a container.
  const same = name === hostname() && kernel === release()
  if (!endpoint.startsWith('unix://') || !same)
    return 'the engine runs on another host'
  return (await inContainer()) ? 'this runner runs in a container' : undefined
}

/** The ID of the container that this process runs in: Docker and Podman mount its host name from their own folder. */
export async function findSelf(proc = '/proc'): Promise<string | undefined> {
  const mount = await findMount('/etc/hostname', proc)
  // The folder of an engine in a container may be on a volume with a name of the same form.
  return /.*([0-9a-f]{64})/.exec(mount?.[3] ?? '')?.[1]
}

/** The fields of a mount point of this process, see proc(5). The fourth is its folder on the filesystem. */
async function findMount(
  path: string,
  proc = '/proc'
): Promise<string[] | undefined> {
  const file = join(proc, 'self/mountinfo')
  const mounts = await readFile(file, 'utf8').catch(() => '')
  return mounts
    .split('\n')
    .map((line) => line.split(' '))
    .find((fields) => fields[4] === path)
}

/** The root of a container is an overlay or a folder of another filesystem. A marker file alone may be left over. */
async function inContainer(): Promise<boolean> {
  const root = await findMount('/')
  const type = root?.[root.indexOf('-') + 1] ?? 'overlay'
  const marked = ['/.dockerenv', '/run/.containerenv'].some(existsSync)
  return /overlay|aufs/.test(type) || (marked && root?.[3] !== '/')
}
