import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { findSelf } from '../../src/host/here.ts'

const id = '0123456789abcdef'.repeat(4)
const volume = 'f'.repeat(64)

test.each([
  ['on a host', '/', '/', undefined],
  [
    'on a host with its own mount of the file',
    '/etc/hostname',
    '/srv/hostname',
    undefined
  ],
  [
    'in a container of Docker',
    '/etc/hostname',
    `/var/lib/docker/containers/${id}/hostname`,
    id
  ],
  [
    'in a container of Podman',
    '/etc/hostname',
    `/containers/storage/overlay-containers/${id}/userdata/hostname`,
    id
  ],
  [
    'in a container of an engine in a container',
    '/etc/hostname',
    `/var/lib/docker/volumes/${volume}/_data/containers/${id}/hostname`,
    id
  ]
])('a process %s', async (_, path, folder, found) => {
  const proc = await mkdtemp(join(tmpdir(), 'proc-'))
  try {
    await mkdir(join(proc, 'self'))
    await writeFile(
      join(proc, 'self/mountinfo'),
      [
        '22 27 0:21 / /proc rw,relatime - proc proc rw',
        `301 286 254:0 ${folder} ${path} rw,relatime - ext4 /dev/vda rw`
      ].join('\n')
    )
    expect(await findSelf(proc)).toBe(found)
  } finally {
    await rm(proc, { recursive: true })
  }
})

test('without /proc, no container is known', async () => {
  expect(await findSelf('/none')).toBeUndefined()
})
