import { expect, test } from '@jest/globals'
import { execa } from 'execa'
import { readSpace } from '../../src/host/disk.ts'
import {
  type FreeSpace,
  isLow,
  missingSpace,
  type Space
} from '../../src/model/disks.ts'

const disk = (
  freeBytes: number,
  usedBytes: number,
  inodes?: [number, number]
): Space => ({
  ...{ freeBytes, usedBytes },
  ...(inodes && { freeInodes: inodes[0], totalInodes: inodes[1] })
})

test.each<[string, Space, FreeSpace, { bytes: number; inodes: number }]>([
  ['enough', disk(30, 70), { percent: 30 }, { bytes: 0, inodes: 0 }],
  ['a little less', disk(299, 701), { percent: 30 }, { bytes: 1, inodes: 0 }],
  ['full', disk(0, 1_000), { percent: 12.5 }, { bytes: 125, inodes: 0 }],
  ['a part of a byte', disk(0, 10), { percent: 15 }, { bytes: 2, inodes: 0 }],
  [
    'few inodes',
    disk(900, 100, [40, 1_000]),
    { percent: 10 },
    { bytes: 0, inodes: 60 }
  ],
  [
    'both',
    disk(90, 910, [40, 1_000]),
    { percent: 10 },
    { bytes: 10, inodes: 60 }
  ],
  [
    'no inodes counted',
    disk(90, 910),
    { percent: 10 },
    { bytes: 10, inodes: 0 }
  ],
  ['an empty filesystem', disk(0, 0), { percent: 10 }, { bytes: 0, inodes: 0 }],
  ['a size', disk(90, 10), { bytes: 100 }, { bytes: 10, inodes: 0 }],
  [
    'a size that is free',
    disk(100, 0),
    { bytes: 100 },
    { bytes: 0, inodes: 0 }
  ],
  [
    'a size, whatever the inodes',
    disk(100, 0, [0, 10]),
    { bytes: 100 },
    { bytes: 0, inodes: 0 }
  ]
])('missing on a disk: %s', (_, space, wanted, missing) => {
  expect(missingSpace(space, wanted)).toEqual(missing)
  expect(isLow(space, wanted)).toBe(missing.bytes + missing.inodes > 0)
})

test('a percentage is 100 less Use% of df, which leaves reserved blocks out', async () => {
  const { stdout } = await execa('df', ['--output=pcent', '/'])
  const free = 100 - Number(/\d+/.exec(stdout)?.[0])
  const { freeBytes, usedBytes } = (await readSpace('/')) ?? disk(NaN, NaN)
  // Others may be writing, and df rounds.
  expect(isLow(disk(freeBytes, usedBytes), { percent: free - 1 })).toBe(false)
  expect(isLow(disk(freeBytes, usedBytes), { percent: free + 2 })).toBe(true)
})
