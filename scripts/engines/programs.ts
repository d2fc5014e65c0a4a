import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { exists, unpackPackages } from './packages.ts'

/** An engine's programs: the system they are in, their environment, and the path of their CLI. */
type Programs = {
  root: string
  env: Record<string, string>
  docker: string
}

export const requirements =
  'needed is Linux with root (or sudo), and either dockerd, containerd and runc on PATH, or Debian or Ubuntu with apt'

// dockerd is in sbin, which a user's PATH may lack.
export const systemPath =
  '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
export const defaultPath = `${process.env['PATH'] ?? ''}:${systemPath}`

/** Finds Docker on a path, or downloads the distribution's packages. */
export async function findPrograms(path: string): Promise<Programs> {
  const needed = ['dockerd', 'containerd', 'runc', 'docker']
  const found = await Promise.all(needed.map((one) => find(one, path)))
  if (!found.includes(undefined))
    return { root: '/', env: { PATH: path }, docker: found[3] ?? '' }
  const apt = await Promise.all(
    ['apt-get', 'dpkg'].map((one) => find(one, path))
  )
  if (apt.includes(undefined))
    throw new Error(`Cannot start a throw-away engine: ${requirements}.`)
  const root = await unpackPackages(['docker.io', 'containerd', 'runc'], {
    // Some releases ship these separately, others within docker.io.
    optional: ['docker-cli', 'tini', 'libdevmapper1.02.1']
  })
  return {
    root: '/',
    env: {
      PATH: `${root}/usr/sbin:${root}/usr/bin:${systemPath}`,
      LD_LIBRARY_PATH: (await libraryFolders(root)).join(':')
    },
    docker: `${root}/usr/bin/docker`
  }
}

/** Finds the programs of another system. A Podman without a CLI of its own gets this machine's Docker CLI. */
export async function findProgramsIn(
  root: string,
  kind: 'docker' | 'podman'
): Promise<Programs> {
  const docker = `${root}/usr/bin/docker`
  // TMPDIR may not exist in the other system.
  const env = { PATH: systemPath, TMPDIR: '/tmp' }
  if (await exists(docker)) return { root, env, docker }
  if (kind === 'docker') throw new Error(`${docker} does not exist.`)
  return { root, env, docker: (await findPrograms(defaultPath)).docker }
}

/** Returns the command prefix that runs a program as root. */
export async function sudoPrefix(path: string): Promise<string[]> {
  if (process.getuid?.() === 0) return []
  if ((await find('sudo', path)) === undefined)
    throw new Error(
      `Cannot start a throw-away engine without root: ${requirements}.`
    )
  // Later commands have no terminal, so sudo asks for the password now.
  await execa('sudo', ['--validate'], { stdio: 'inherit' })
  return ['sudo']
}

async function find(
  program: string,
  path: string
): Promise<string | undefined> {
  for (const folder of path.split(':'))
    if (await exists(join(folder, program))) return join(folder, program)
  return undefined
}

/** Finds folders such as `lib/x86_64-linux-gnu`. */
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
