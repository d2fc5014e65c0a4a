import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  writeFile
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import {
  ledgerFile,
  readLedger,
  writeLedger
} from '../../src/state/ledgerFile.ts'
import { entriesThatHold, updateLedger } from '../../src/state/ledger.ts'
import {
  container,
  day,
  hour,
  image,
  inventory,
  network,
  now,
  volume
} from '../builders.ts'

const key = {
  endpoint: 'unix:///var/run/docker.sock',
  rootDir: '/var/lib/docker',
  store: 'overlay2'
}
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ledger-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

const entry = (id: string, parts: object = {}) => ({
  id,
  since: now - day,
  arrived: false,
  ...parts
})

test('a written ledger is read back, and no other file is left', async () => {
  expect(await readLedger(folder, key, now)).toEqual({ entries: undefined })
  expect(
    await writeLedger(
      folder,
      key,
      [entry('a', { usedAt: now }), entry('__proto__')],
      now
    )
  ).toBeUndefined()
  expect(await readLedger(folder, key, now)).toEqual({
    entries: [entry('a', { usedAt: now }), entry('__proto__')]
  })
  expect(await readdir(folder)).toHaveLength(1)
})

test('engines that differ in endpoint, data root or store have separate ledgers', () => {
  const files = [
    key,
    { ...key, endpoint: 'tcp://x' },
    { ...key, rootDir: '/data' },
    { ...key, store: 'containerd' }
  ].map((one) => ledgerFile(folder, one))
  expect(new Set(files).size).toBe(4)
})

test.each([
  ['truncated', '{"version":1,"engine":{"endpo'],
  [
    'of another version',
    JSON.stringify({ version: 2, engine: key, entries: [] })
  ],
  [
    'of another engine',
    JSON.stringify({
      version: 1,
      engine: { ...key, rootDir: '/data' },
      entries: []
    })
  ],
  ['not JSON', 'ledger'],
  ['empty', '']
])('a ledger that is %s is reported and ignored', async (_, text) => {
  await writeFile(ledgerFile(folder, key), text)
  const { entries, problem } = await readLedger(folder, key, now)
  expect(entries).toBeUndefined()
  expect(problem).toContain(ledgerFile(folder, key))
  expect(await writeLedger(folder, key, [entry('a')], now)).toBeUndefined()
  expect((await readLedger(folder, key, now)).entries).toEqual([entry('a')])
})

test('a ledger path that is a folder is reported on read and write', async () => {
  await mkdir(ledgerFile(folder, key))
  expect((await readLedger(folder, key, now)).problem).toBeDefined()
  expect(await writeLedger(folder, key, [entry('a')], now)).toBeDefined()
})

test('a folder that cannot be created is reported', async () => {
  await writeFile(join(folder, 'file'), '')
  expect(
    await writeLedger(join(folder, 'file/below'), key, [], now)
  ).toBeDefined()
})

test('concurrent writes neither lose entries nor corrupt the file', async () => {
  await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      writeLedger(
        folder,
        key,
        [entry('a', { since: now - index, usedAt: now + index })],
        now
      )
    )
  )
  const { entries } = await readLedger(folder, key, now)
  expect(entries).toHaveLength(1)
  expect(
    JSON.parse(await readFile(ledgerFile(folder, key), 'utf8'))
  ).toMatchObject({ version: 1 })
  await writeLedger(
    folder,
    key,
    [entry('a', { since: now - hour, usedAt: now - hour })],
    now
  )
  const [last] = (await readLedger(folder, key, now)).entries ?? []
  expect(last?.since).toBeLessThanOrEqual(now - hour)
  expect(last?.usedAt).toBeGreaterThanOrEqual(now)
})

test('the earlier of two first sightings counts, unless one saw the resource arrive', async () => {
  const written = async (...entries: ReturnType<typeof entry>[]) => {
    for (const one of entries) await writeLedger(folder, key, [one], now)
    const [last] = (await readLedger(folder, key, now)).entries ?? []
    return [last?.since, last?.arrived]
  }
  const [early, late, later] = [now - 3, now - 2, now - 1]
  const known = (id: string, since: number) =>
    entry(id, { since, arrived: false })
  const arrivedAt = (id: string, since: number) =>
    entry(id, { since, arrived: true })
  const first = [early, false]
  expect(await written(known('a', early), known('a', late))).toEqual(first)
  const arrived = [late, true]
  expect(await written(known('b', early), arrivedAt('b', late))).toEqual(
    arrived
  )
  expect(await written(arrivedAt('c', late), known('c', early))).toEqual(
    arrived
  )
  expect(await written(arrivedAt('d', late), known('d', later))).toEqual(
    arrived
  )
})

test('an entry does not apply to a recreated volume', () => {
  const entries = ['v', 'w', 'i'].map((id) => entry(id, { since: now - hour }))
  const made = (createdAt: number | undefined) =>
    entriesThatHold(entries, [volume('v', { createdAt }), volume('w')]).map(
      ({ id }) => id
    )
  expect(made(now - hour)).toEqual(['v', 'w', 'i'])
  expect(made(undefined)).toEqual(['v', 'w', 'i'])
  expect(made(now - hour + 1)).toEqual(['w', 'i'])
})

test('resources count as arrived only after the first run, and removed ones are dropped', () => {
  const held = {
    images: [image('i')],
    networks: [network('n')],
    volumes: [volume('v')]
  }
  const first = updateLedger(inventory(held))
  expect(first).toEqual(
    ['i', 'n', 'v'].map((id) => ({ id, since: now, arrived: false }))
  )
  const later = inventory({
    ...held,
    images: [image('i'), image('new')],
    volumes: [],
    ledger: first.map((one) => ({ ...one, since: now - day }))
  })
  expect(updateLedger(later)).toEqual([
    { id: 'i', since: now - day, arrived: false },
    { id: 'new', since: now, arrived: true },
    { id: 'n', since: now - day, arrived: false }
  ])
})

test('the latest observed use is remembered', () => {
  const used = (state: string, finishedAt?: number) => {
    const users = [
      container('c', {
        state,
        finishedAt,
        image: 'i',
        networks: ['n'],
        volumes: ['v']
      })
    ]
    const held = {
      images: [image('i')],
      networks: [network('n')],
      volumes: [volume('v')],
      containers: users
    }
    return updateLedger(
      inventory({ ...held, ledger: [entry('i', { usedAt: now - 2 * hour })] })
    ).map(({ usedAt }) => usedAt)
  }
  expect(used('running')).toEqual([now, now, now])
  expect(used('exited', now - hour)).toEqual([
    now - hour,
    now - hour,
    now - hour
  ])
  expect(used('exited', now - 3 * hour)).toEqual([
    now - 2 * hour,
    now - 3 * hour,
    now - 3 * hour
  ])
  expect(used('created')).toEqual([now - 2 * hour, undefined, undefined])
})

test('use seen in the event log is remembered', () => {
  const event = {
    at: now - hour,
    type: 'volume',
    action: 'unmount',
    id: 'v',
    image: ''
  }
  expect(
    updateLedger(inventory({ volumes: [volume('v')], events: [event] }))[0]
      ?.usedAt
  ).toBe(now - hour)
})

test('times written before the engine’s clock was set back are moved to now', async () => {
  const ahead = entry('a', { since: now + day, usedAt: now + 2 * day })
  const agrees = entry('b', { since: now + 1_000, usedAt: now + 1_000 })
  await writeLedger(folder, key, [ahead, agrees], now + 2 * day)
  const { entries } = await readLedger(folder, key, now)
  expect(entries).toEqual([{ ...ahead, since: now, usedAt: now }, agrees])
})

test('if volumes were not listed, their entries stay; entries of removed images do not', () => {
  const ledger = [entry('data'), entry('sha256:gone'), entry('sha256:here')]
  const held = inventory({ ledger, images: [image('sha256:here')] })
  const ids = (withoutVolumes: object) =>
    updateLedger({ ...held, ...withoutVolumes }).map(({ id }) => id)
  expect(ids({ withoutVolumes: true })).toEqual(['sha256:here', 'data'])
  expect(ids({})).toEqual(['sha256:here'])
})

test('volumes of a service are in use, whether or not it has a task', () => {
  const service = container('s', { service: true, volumes: ['data'] })
  const held = inventory({
    services: [service],
    ledger: [entry('data')],
    volumes: [volume('data')]
  })
  expect(updateLedger(held)).toEqual([entry('data', { usedAt: now })])
})
