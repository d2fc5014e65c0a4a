import {
  access,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  writeFile
} from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { formatSize } from '../../src/units.ts'

/**
 * Downloads the distribution's packages with apt, unpacks them into the cache once, and returns their folder. Installs
 * nothing, leaves apt's own state alone, and needs no root.
 *
 * @param options.optional packages to add if the release has them
 * @param options.suite release of the distribution, such as `trixie`; default: the machine's
 */
export async function unpackPackages(
  names: readonly string[],
  {
    optional = [],
    suite
  }: { optional?: readonly string[]; suite?: string } = {}
): Promise<string> {
  const key = [suite ?? 'own', ...names].join('-')
  return cached(key, async (work) => {
    const apt = await privateApt(work, suite)
    await apt('update')
    const wanted = [...names]
    for (const name of optional)
      if (await hasPackage(apt, name)) wanted.push(name)
    await announce(apt, wanted.join(', '), ['download', ...wanted])
    await apt('download', ...wanted)
    await unpack(work, join(work, 'root'))
  })
}

/** Unpacks packages with all their dependencies, unconfigured, for `chroot` into a system of another release. */
export async function unpackSystem(
  suite: string,
  names: readonly string[]
): Promise<string> {
  return cached(['system', suite, ...names].join('-'), async (work) => {
    const root = join(work, 'root')
    const apt = await privateApt(work, suite)
    await apt('update')
    // base-files comes first: it creates links, such as /lib, that others unpack into.
    await apt('download', 'base-files')
    await unpack(work, root)
    const emptyStatus = join(work, 'status')
    await writeFile(emptyStatus, '')
    const install = [
      ...['install', '--download-only', '--yes', '--no-install-recommends'],
      ...['-o', `Dir::State::status=${emptyStatus}`, ...names]
    ]
    await announce(apt, `${names.join(', ')} (${suite})`, install)
    await apt(...install)
    await unpack(join(work, 'cache', 'archives'), root)
  })
}

/** Returns a folder of the cache. If it is missing, `fill` creates it as `root` in a working folder. */
async function cached(
  key: string,
  fill: (work: string) => Promise<void>
): Promise<string> {
  const cache = join(
    process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
    'docker-reclaim'
  )
  const root = join(cache, key)
  if (await exists(root)) return root

  await mkdir(cache, { recursive: true })
  const work = await mkdtemp(join(cache, 'unpack-'))
  try {
    await fill(work)
    // Another process may have created it in the meantime.
    await rename(join(work, 'root'), root).catch(async (error: unknown) => {
      if (!(await exists(root))) throw error
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return root
}

async function unpack(folder: string, root: string): Promise<void> {
  for (const file of await readdir(folder))
    if (file.endsWith('.deb'))
      await execa('dpkg', ['-x', join(folder, file), root])
}

const hasPackage = (apt: Apt, name: string) =>
  apt('download', '--print-uris', name).then(
    () => true,
    () => false
  )

async function announce(
  apt: Apt,
  what: string,
  command: readonly string[]
): Promise<void> {
  const { stdout } = await apt(...command, '--print-uris')
  const sizes = [...stdout.matchAll(/^'\S+' \S+ (\d+)/gm)]
  const bytes = sizes.reduce((sum, [, size]) => sum + Number(size), 0)
  console.error(`Downloading ${what} from Debian, once: ${formatSize(bytes)}.`)
}

type Apt = Awaited<ReturnType<typeof privateApt>>

/** Returns a caller of apt-get that keeps all its state in a folder. */
async function privateApt(work: string, suite: string | undefined) {
  const lists = join(work, 'lists')
  const archives = join(work, 'cache', 'archives')
  await mkdir(join(lists, 'partial'), { recursive: true })
  await mkdir(join(archives, 'partial'), { recursive: true })
  const options = [
    `Dir::State::lists=${lists}`,
    `Dir::Cache=${join(work, 'cache')}`,
    'Debug::NoLocking=1',
    ...(process.getuid?.() === 0 ? ['APT::Sandbox::User=root'] : [])
  ]
  if (suite !== undefined) {
    const list = join(work, 'sources.list')
    await writeFile(list, await sourceLine(suite))
    options.push(
      `Dir::Etc::sourcelist=${list}`,
      'Dir::Etc::sourceparts=/dev/null'
    )
  }
  return (...args: string[]) =>
    execa(
      'apt-get',
      [...options.flatMap((one) => ['-o', one]), '--quiet', ...args],
      {
        cwd: work
      }
    )
}

/** Makes the line of sources.list for a release of Debian. */
async function sourceLine(suite: string): Promise<string> {
  const { mirror, keys } = await findDebian()
  const signed = keys === undefined ? '' : `[signed-by=${keys}] `
  return `deb ${signed}${mirror} ${suite} main\n`
}

/** Finds a mirror of Debian and its keys. Ubuntu knows no mirror, and has the keys in a package. */
async function findDebian(): Promise<{
  mirror: string
  keys: string | undefined
}> {
  const release = await readFile('/etc/os-release', 'utf8')
  const debian = /^ID=debian$/m.test(release)
  const file = '/usr/share/keyrings/debian-archive-keyring.gpg'
  const keys = (await exists(file)) ? file : undefined
  if (debian) return { mirror: await findMirror(), keys }
  const mirror = process.env['DEBIAN_MIRROR']
  if (!mirror)
    throw new Error(
      'Outside Debian, set DEBIAN_MIRROR to the URL of a mirror of Debian.'
    )
  return {
    mirror,
    keys: keys ?? `${await unpackPackages(['debian-archive-keyring'])}${file}`
  }
}

async function findMirror(): Promise<string> {
  const { stdout } = await execa('apt-get', [
    'indextargets',
    '--format',
    '$(SITE)',
    'Identifier: Packages'
  ])
  const [mirror = ''] = stdout.split('\n')
  return mirror
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false
  )
}
