import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { hostname, release, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { measureLogs } from '../../src/host/logs.ts'
import type { Engine } from '../../src/model/inventory.ts'
import { inventory } from '../builders.ts'

const socket = 'unix:///var/run/docker.sock'
let rootDir = ''

beforeAll(async () => {
  rootDir = await mkdtemp(join(tmpdir(), 'logs-'))
  for (const [file, bytes] of [
    ['json/json-json.log', 1],
    ['json/json-json.log.1', 10],
    ['json/json-json.log.2.gz', 100],
    ['json/config.v2.json', 7_000],
    ['local/local-logs/container.log', 2],
    ['local/local-logs/container.log.1.gz', 20],
    ['cached/container-cached.log', 3],
    ['cached/container-cached.log.1', 30],
    ['new/config.v2.json', 7_000]
  ] as const) {
    const path = join(rootDir, 'containers', file)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, Buffer.alloc(bytes))
  }
})
afterAll(() => rm(rootDir, { recursive: true }))

const measure = (
  containers: Record<string, string>,
  {
    name = hostname(),
    folder = rootDir,
    kind = 'docker'
  }: { name?: string; folder?: string; kind?: Engine['kind'] } = {}
) =>
  measureLogs(
    { ...inventory().engine, ...{ kind, name, kernel: release(), rootDir } },
    socket,
    new Map(
      Object.entries(containers).map(([id, logDriver]) => {
        const file = join(folder, 'containers', id, `${id}-json.log`)
        const logPath = logDriver === 'json-file' ? file : ''
        return [id, { bytes: 0, logDriver, logPath }]
      })
    )
  )

test('logs of every driver count, including rotated files', async () => {
  const { bytes, unread } = await measure({
    ...{ json: 'json-file', local: 'local', cached: 'syslog', new: 'local' }
  })
  expect(Object.fromEntries(bytes)).toEqual({
    ...{ json: 111, local: 22, cached: 33, new: 0 }
  })
  expect(unread).toBe(false)
})

test.each([
  ['json', 'json-file', true],
  ['local', 'local', true],
  ['cached', 'syslog', false],
  ['none', 'none', false]
])(
  'the log of container %s on another host is unknown',
  async (id, driver, unread) => {
    expect(await measure({ [id]: driver }, { name: 'twin' })).toEqual({
      bytes: new Map(),
      unread
    })
  }
)

test('logs are not measured on Podman', async () => {
  expect(await measure({ json: 'json-file' }, { kind: 'podman' })).toEqual({
    bytes: new Map(),
    unread: false
  })
})

test('a log missing from its reported path counts as unread', async () => {
  expect(await measure({ json: 'json-file' }, { folder: '/none' })).toEqual({
    bytes: new Map(),
    unread: true
  })
  expect((await measure({})).unread).toBe(false)
})
