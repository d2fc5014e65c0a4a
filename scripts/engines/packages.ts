import {
  access,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  writeFile
} from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { formatSize } from '../../src/units.ts'

/**
 * Downloads packages of the distribution with apt and unpacks them into a folder of the cache, once. Installs nothing,
 * leaves apt's own lists alone and needs no root. Returns the folder.
 *
 * @param names the packages
 * @param options.optional packages that are taken along where the release has them
 * @param options.suite another release of the distribution than the machine's own (`trixie`)
 */
export async function unpackPackages(
  names: readonly string[],
  {
    optional = [],
    suite
  }: { optional?: readonly string[]; suite?: string } = {}
): Promise<string> {
  const key = [suite ?? 'own', ...names].join('-')
  return inCache(key, async (work) => {
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

/**
 * The same with all that the packages depend on, for a system that the programs of another release can be run in with
 * `chroot`. Nothing of it is configured.
 */
export async function unpackSystem(
  suite: string,
  names: readonly string[]
): Promise<string> {
  return inCache(['system', suite, ...names].join('-'), async (work) => {
    const root = join(work, 'root')
    const apt = await privateApt(work, suite)
    await apt('update')
    // This one makes the links that the others unpack into.
    await apt('download', 'base-files')
    await unpack(work, root)
    const nothingInstalled = join(work, 'status')
    await writeFile(nothingInstalled, '')
    const install = [
      ...['install', '--download-only', '--yes', '--no-install-recommends'],
      ...['-o', `Dir::State::status=${nothingInstalled}`, ...names]
    ]
    await announce(apt, `${names.join(', ')} (${suite})`, install)
    await apt(...install)
    await unpack(join(work, 'cache', 'archives'), root)
  })
}

/** Has a folder of the cache filled, as `root` in a folder for the work, where it is not there already. */
async function inCache(
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
    // Whoever comes second finds the folder of the first.
    await rename(join(work, 'root'), root).catch(async (error: unknown) => {
      if (!(await exists(root))) throw error
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return root
}

/** Unpacks all packages of a folder. */
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

/** Says what a download is going to bring, and how much: it can take a minute, and happens once. */
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

/** Makes the caller of an apt that keeps all its state in a folder of ours. */
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
    await writeFile(list, await sourceOf(suite))
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

/** The line of sources.list for another release, from the mirror that the machine uses. */
async function sourceOf(suite: string): Promise<string> {
  const { stdout } = await execa('apt-get', [
    'indextargets',
    '--format',
    '$(SITE)',
    'Identifier: Packages'
  ])
  const [mirror = ''] = stdout.split('\n')
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg'
  const signed = (await exists(keys)) ? `[signed-by=${keys}] ` : ''
  return `deb ${signed}${mirror} ${suite} main\n`
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false
  )
}
