import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { hostname, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { execa } from 'execa'
import { findDisks, readSpace } from '../../src/host/disk.ts'
import { diskContents } from '../../src/model/disks.ts'
import { describeDisks, renderDisks } from '../../src/report/disks.ts'
import { inventory, makeTestReport, resource } from '../builders.ts'

const socket = 'unix:///var/run/docker.sock'
const here = {
  ...inventory().engine,
  ...{ name: hostname(), kernel: release(), rootDir: '/' }
}

test('the disk of an engine on this host can be read', async () => {
  const disks = await findDisks(here, socket)
  expect(disks).toMatchObject([{ path: '/', holds: diskContents }])
  expect(disks[0]?.before.freeBytes).toBeGreaterThan(0)
  expect(disks[0]?.before.usedBytes).toBeGreaterThan(0)
})

test.each([
  ['on macOS', here, socket, 'darwin'],
  ['on Windows', here, 'npipe:////./pipe/docker_engine', 'win32'],
  ['behind a TCP address', here, 'tcp://127.0.0.1:2376', 'linux'],
  ['in a virtual machine', { ...here, kernel: '6.0-vm' }, socket, 'linux'],
  ['with another host name', { ...here, name: 'twin' }, socket, 'linux'],
  ['with its data elsewhere', { ...here, rootDir: '/none' }, socket, 'linux']
])(
  'the disk of an engine %s is left out',
  async (_, engine, endpoint, platform) => {
    expect(await findDisks(engine, endpoint, { platform })).toEqual([])
  }
)

test('a filesystem that does not count inodes reports none', async () => {
  expect(await readSpace('/proc')).toEqual({ freeBytes: 0, usedBytes: 0 })
})

const asRoot = process.getuid?.() === 0 ? describe : describe.skip

asRoot('two disks', () => {
  let folder = ''
  const at = (name: string) => join(folder, name)
  const names = ['docker', 'containerd', 'elsewhere']

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'disks-'))
    for (const [index, name] of names.entries()) {
      await mkdir(at(name))
      const size = `size=${index + 2}m,nr_inodes=${index * 100 + 50}`
      await execa('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', at(name)])
    }
    // Use two thirds of the bytes of one, and almost all inodes of the other.
    await writeFile(at('docker/file'), Buffer.alloc(1_400_000))
    for (let index = 0; index < 140; index += 1)
      await writeFile(at(`containerd/${index}`), '')
    for (const path of ['docker/images', 'own', 'system']) await mkdir(at(path))
    await writeFile(at('own/containerd.toml'), '')
  })
  afterAll(async () => {
    for (const name of names)
      await execa('umount', [at(name)], { reject: false })
    await rm(folder, { recursive: true })
  })

  const find = (
    engine: { store?: string; containerdAddress?: string } = {},
    system: { config?: string; root?: string } = {}
  ) =>
    findDisks(
      { ...here, rootDir: at('docker'), store: 'containerd', ...engine },
      socket,
      {
        containerd: {
          config: at('none'),
          root: at('containerd'),
          ...system
        }
      }
    )
  const pathsOf = async (...args: Parameters<typeof find>) =>
    (await find(...args)).map(({ path }) => path.replace(`${folder}/`, ''))
  const ofSystem = () => ({
    containerdAddress: at('system/containerd.sock')
  })
  const both = ['docker', 'containerd']

  test('a system containerd keeps the images on its own disk', async () => {
    expect(await find(ofSystem())).toMatchObject([
      { path: at('docker'), holds: ['volumes', 'logs'] },
      {
        path: at('containerd'),
        holds: ['images', 'containers', 'build-cache'],
        before: { totalInodes: 150 }
      }
    ])
    // The same disk as DockerRootDir, in another folder.
    const shared = { root: at('docker/images') }
    expect(await find(ofSystem(), shared)).toMatchObject([
      { path: at('docker'), holds: diskContents }
    ])
  })

  test('a containerd started by dockerd and a storage driver keep images under DockerRootDir', async () => {
    const own = { containerdAddress: at('own/containerd.sock') }
    expect(await pathsOf(own)).toEqual(['docker'])
    expect(await pathsOf({ ...ofSystem(), store: 'overlay2' })).toEqual([
      'docker'
    ])
  })

  test('without a containerd address, images are on the disk of the system containerd', async () => {
    expect(await pathsOf()).toEqual(both)
    expect(await pathsOf({}, { root: at('none') })).toEqual(['docker'])
  })

  test('if the image folder is missing, the disk of the images is unknown', async () => {
    expect(await find(ofSystem(), { root: at('none') })).toMatchObject([
      { path: at('docker'), holds: ['volumes', 'logs'] }
    ])
  })

  test.each([
    ['names another folder', (path: string) => `root = "${path}"`],
    ['uses other quotes', (path: string) => `version = 3\n root = '${path}'`],
    [
      'has other roots as well',
      (path: string) => `root="${path}" # here\n[plugins]\n  root = "/none"`
    ]
  ])('a containerd configuration that %s', async (_, textFor) => {
    const config = at('config.toml')
    await writeFile(config, textFor(at('elsewhere')))
    expect(await pathsOf(ofSystem(), { config })).toEqual([
      'docker',
      'elsewhere'
    ])
  })

  test('a containerd configuration without a root uses the default', async () => {
    const config = at('config.toml')
    await writeFile(
      config,
      '# root = "/none"\nversion = 2\n[plugins."x"]\n  root = "/none"\n'
    )
    expect(await pathsOf(ofSystem(), { config })).toEqual(both)
  })

  test('the percentages match df', async () => {
    const report = {
      ...makeTestReport([resource()]),
      disks: await find(ofSystem())
    }
    const { stdout } = await execa('df', [
      '--output=pcent,ipcent',
      ...both.map(at)
    ])
    const [docker = [], containerd = []] = stdout
      .split('\n')
      .slice(1)
      .map((line) => line.match(/\d+/g) ?? [])
    expect(describeDisks(report)).toBe(
      ` Disk ${docker[0]} % used, image store disk ${containerd[0]} % used.`
    )
    const shares = renderDisks(report).match(/\d+(?=\u00a0%)/g)
    expect(shares).toEqual([...docker, ...containerd])
  })
})
