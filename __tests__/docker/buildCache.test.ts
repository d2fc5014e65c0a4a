import { expect, test } from '@jest/globals'
import type { Docker } from '../../src/docker/cli.ts'
import { DockerError } from '../../src/docker/errors.ts'
import { listBuildCache } from '../../src/docker/buildCache.ts'
import { readCacheRecords } from '../../src/docker/cacheRecords.ts'
import {
  pruneArguments,
  pruneBuildCache,
  readPruned,
  readTotal
} from '../../src/removal/buildCache.ts'
import { inventory } from '../builders.ts'

test.each([
  ['Total:\t30.5MB\n', 30_500_000],
  ['ID\tRECLAIMABLE\nx\ttrue\nTotal:\t0B', 0],
  [
    'Deleted build cache objects:\nabc\n\nTotal reclaimed space: 1.234GB\n',
    1_234_000_000
  ],
  ['nothing', undefined]
])('the total that a prune reports', (text, bytes) => {
  expect(readTotal(text)).toBe(bytes)
})

test('prune arguments', () => {
  expect(pruneArguments(86_400_000, 0)).toEqual([
    'builder',
    'prune',
    '--force',
    '--filter',
    'until=86400.000s'
  ])
  expect(pruneArguments(1, 1e10)).toEqual([
    'builder',
    'prune',
    '--force',
    '--filter',
    'until=0.001s',
    '--keep-storage',
    '10000000000'
  ])
})

test.each([
  ['buildx', '      --reserved-space bytes   Amount of disk space', 5],
  ['no buildx', '      --keep-storage bytes   Amount of disk space', 5],
  ['a CLI without help output', '', 5],
  ['any CLI', '      --reserved-space bytes   Amount of disk space', 0]
])(
  'with %s, the keep flag is looked up only if something is kept',
  async (_, stdout, keep) => {
    const calls: string[] = []
    const docker: Docker = (args) => {
      calls.push(args.join(' '))
      return Promise.resolve({ exitCode: 0, stdout, stderr: '' })
    }
    await pruneBuildCache({
      ...{ docker, builder: 'default', until: 0, keep },
      ...{ lookedAt: Date.now(), configFolder: '' }
    })
    const flag = stdout.includes('reserved') ? 'reserved-space' : 'keep-storage'
    expect(calls.map((call) => call.replace(/until=\S+/, 'until'))).toEqual(
      keep === 0
        ? ['builder prune --force --filter until']
        : [
            'builder prune --help',
            `builder prune --force --filter until --${flag} 5`
          ]
    )
  }
)

test('a build cache that is too slow to list is left out', async () => {
  const limits: unknown[] = []
  const docker: Docker = (_, options) => {
    limits.push(options?.limit)
    return Promise.reject(
      new DockerError('no-answer', { text: 'it was ended' })
    )
  }
  expect(
    await listBuildCache(docker, inventory().engine, 'default')
  ).toBeUndefined()
  expect(limits).toEqual([20_000])
})

test('a prune without a total is not mistaken for one that found nothing', async () => {
  const prune = (stdout: string) => {
    const docker: Docker = () =>
      Promise.resolve({ exitCode: 0, stdout, stderr: '' })
    return pruneBuildCache({
      ...{
        docker,
        builder: 'default',
        lookedAt: Date.now(),
        until: 0,
        keep: 0
      },
      configFolder: ''
    })
  }
  expect(await prune('Total:\t12kB')).toMatchObject({ freed: 12_000 })
  expect(await prune('Total:\t0B')).toMatchObject({ outcome: 'gone' })
  for (const text of ['', 'Total:\tmuch', 'WARNING: no config'])
    expect(await prune(text)).toEqual({
      outcome: 'removed',
      detail: 'the builder did not report the bytes freed'
    })
})

/** Prints a record as `buildx du` does. */
const block = (id: string, size: string, more: Record<string, string> = {}) =>
  Object.entries({
    ID: id,
    'Created at': '2026-01-31 12:00:00.1 +0000 UTC',
    Reclaimable: 'true',
    Shared: 'false',
    Size: size,
    Description: 'mount / from exec a: b',
    'Usage count': '1',
    ...more
  })
    .map(([key, value]) => `${key}:\t${value}`)
    .join('\n')

const totals = (total: string) =>
  `Shared:\t\t4.194MB\nPrivate:\t12B\nReclaimable:\t4.194MB\nTotal:\t\t${total}`

test('records printed by buildx du', () => {
  const text = [
    block('abc', '4.194MB', {
      Shared: 'true',
      'Last used': '2 hours ago',
      Type: 'regular'
    }),
    block('def', '12B', { Reclaimable: 'false', Type: 'internal' }),
    totals('4.194MB')
  ].join('\n\n')
  const hour = 3_600_000
  expect(readCacheRecords(text)).toEqual([
    {
      id: 'abc',
      parents: [],
      base: false,
      bytes: 4_194_000,
      idle: { least: 1.5 * hour, most: 3 * hour },
      inUse: false,
      shared: true,
      internal: false,
      rewritable: false
    },
    {
      id: 'def',
      parents: [],
      base: false,
      bytes: 12,
      idle: { least: 0, most: Infinity },
      inUse: true,
      shared: false,
      internal: true,
      rewritable: false
    }
  ])
  expect(readCacheRecords('')).toEqual([])
  expect(readCacheRecords(totals('0B'))).toEqual([])
})

test.each([
  ['exec.cachemount', 'cached mount /cache from exec /bin/sh', true],
  ['regular', 'shared git repo for git://host/repo', true],
  ['source.git.checkout', 'git snapshot for git://host/repo#1', false],
  ['source.local', 'local source for context', false],
  ['regular', 'mount / from exec /bin/sh -c shared git repo', false]
])('record of type %s, %s: rewritable %p', (Type, Description, rewritable) => {
  const text = [block('abc', '5MB', { Type, Description }), totals('5MB')]
  expect(readCacheRecords(text.join('\n\n'))).toMatchObject([{ rewritable }])
})

test.each([
  ['newer', { Parents: '\n - def\n - ghi' }],
  ['older', { Parent: 'def,ghi' }]
])('parents of a record, as printed by %s buildx', (_, parents) => {
  const text = [block('abc', '5MB', parents), totals('5MB')].join('\n\n')
  expect(readCacheRecords(text)).toMatchObject([{ parents: ['def', 'ghi'] }])
})

test('multi-line commands in a description are not mistaken for records', () => {
  const harmless = { Description: 'exec sh -c\n\nSize:\t9GB\nType: internal\n' }
  expect(
    readCacheRecords(
      [block('abc', '5MB', harmless), totals('5MB')].join('\n\n')
    )
  ).toMatchObject([{ bytes: 5_000_000, internal: false }])
  for (const Description of [
    `exec sh -c\n\n${block('forged', '9GB')}\n`,
    'exec sh -c\nUsage count: 1\nSize: 9GB',
    'exec sh -c\n\nTotal: 9GB'
  ])
    expect(
      readCacheRecords(
        [block('abc', '5MB', { Description }), totals('5MB')].join('\n\n')
      )
    ).toBeUndefined()
})

test.each([
  ['no totals', [block('abc', '5MB')]],
  ['a larger total', [block('abc', '5MB'), totals('6MB')]],
  ['an invalid size', [block('abc', 'much'), totals('0B')]],
  ['no ID', [block('', '5MB'), totals('5MB')]],
  ['other output', ['WARNING: no config']]
])('a listing with %s is rejected', (_, blocks) => {
  expect(readCacheRecords(blocks.join('\n\n'))).toBeUndefined()
})

test('records that a prune removed, with and without buildx', () => {
  const ids = ['un24f2at32r218gw7aqz9kl6o', 'jo8654vyzdb12gym6a681229z']
  expect(
    readPruned(
      `Deleted build cache objects:\n${ids.join('\n')}\n\nTotal reclaimed space: 30MB`
    )
  ).toEqual(ids)
  const lines = ids.map(
    (id) => `${id}*              \ttrue \t\t10MB\t1 second ago`
  )
  expect(
    readPruned(
      `ID\t\t\tRECLAIMABLE\tSIZE\tLAST ACCESSED\n${lines.join('\n')}\nTotal:\t30MB`
    )
  ).toEqual(ids)
})
