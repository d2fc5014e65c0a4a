import { hostname, release } from 'node:os'
import { expect, test } from '@jest/globals'
import { readDisk } from '../../src/docker/disk.ts'
import { inventory } from '../builders.ts'

const socket = 'unix:///var/run/docker.sock'
const here = {
  ...inventory().engine,
  ...{ name: hostname(), kernel: release(), rootDir: '/' }
}

test('the disk of an engine on this machine can be read', async () => {
  const disk = await readDisk(here, socket)
  expect(disk?.free).toBeGreaterThan(0)
  expect(disk?.used).toBeGreaterThan(0)
})

test.each([
  ['on macOS', here, socket, 'darwin'],
  ['on Windows', here, 'npipe:////./pipe/docker_engine', 'win32'],
  ['behind an address', here, 'tcp://127.0.0.1:2376', 'linux'],
  ['in a virtual machine', { ...here, kernel: '6.0-vm' }, socket, 'linux'],
  ['of another name', { ...here, name: 'twin' }, socket, 'linux'],
  ['with its data elsewhere', { ...here, rootDir: '/none' }, socket, 'linux']
])(
  'that of an engine %s is left out',
  async (_, engine, endpoint, platform) => {
    expect(await readDisk(engine, endpoint, { platform })).toBeUndefined()
  }
)

test('where images may lie on another disk than the rest of the data, neither is told', async () => {
  const containerd = { ...here, store: 'containerd' }
  const of = (engine: typeof here, images: string) =>
    readDisk(engine, socket, { images })
  expect(await of(containerd, '/proc')).toBeUndefined()
  expect(await of(containerd, '/none')).toBeDefined()
  expect(await of(containerd, '/')).toBeDefined()
  expect(await of(here, '/proc')).toBeDefined()
})
