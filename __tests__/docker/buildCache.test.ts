import { expect, test } from '@jest/globals'
import {
  pruneArguments,
  readCacheRecords,
  readTotal
} from '../../src/docker/buildCache.ts'

test.each([
  ['Total:\t30.5MB\n', 30_500_000],
  ['ID\tRECLAIMABLE\nx\ttrue\nTotal:\t0B', 0],
  [
    'Deleted build cache objects:\nabc\n\nTotal reclaimed space: 1.234GB\n',
    1_234_000_000
  ],
  ['nothing', undefined]
])('what a prune says that it freed', (text, bytes) => {
  expect(readTotal(text)).toBe(bytes)
})

test('the arguments of the prune', () => {
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

test('the records of buildx du', () => {
  const text = [
    'ID:\t\tabc\nParents:\tx\nCreated at:\t2026-01-31 12:00:00.1 +0000 UTC\nMutable:\tfalse\nReclaimable:\ttrue\nShared:\t\ttrue\nSize:\t\t4.194MB\nDescription:\tmount / from exec a: b\nUsage count:\t1\nLast used:\t2 hours ago\nType:\t\tregular',
    'ID:\t\tdef\nReclaimable:\tfalse\nShared:\t\tfalse\nSize:\t\t12B\nType:\t\tinternal',
    'Shared:\t\t4.194MB\nPrivate:\t12B\nReclaimable:\t4.194MB\nTotal:\t\t4.194MB'
  ].join('\n\n')
  const hour = 3_600_000
  expect(readCacheRecords(text)).toEqual([
    {
      bytes: 4_194_000,
      idle: { least: 1.5 * hour, most: 3 * hour },
      inUse: false,
      shared: true,
      internal: false
    },
    {
      bytes: 12,
      idle: { least: 0, most: Infinity },
      inUse: true,
      shared: false,
      internal: true
    }
  ])
  expect(readCacheRecords('')).toEqual([])
})
