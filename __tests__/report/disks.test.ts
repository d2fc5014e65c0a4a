import { expect, test } from '@jest/globals'
import { describeDisks, renderDisks } from '../../src/report/disks.ts'
import type { Report } from '../../src/report/schema.ts'
import { makeTestReport, resource } from '../builders.ts'

type Disk = Report['disks'][number]
type Space = Disk['before']

const megabyte = 1_000_000
const space = (used: number, parts: Partial<Space> = {}): Space => ({
  freeBytes: (100 - used) * megabyte,
  usedBytes: used * megabyte,
  ...parts
})
const inodes = (freeInodes: number) => ({ freeInodes, totalInodes: 2_000_000 })
const one: Disk = {
  path: '/var/lib/docker',
  holds: ['images', 'containers', 'build-cache', 'volumes', 'logs'],
  before: space(91, inodes(20_000)),
  after: space(64, inodes(1_234_567))
}
const rootDir: Disk = { ...one, holds: ['volumes', 'logs'] }
const imageStore: Disk = {
  path: '/var/lib/a|b',
  holds: ['images', 'containers', 'build-cache'],
  before: space(80),
  after: space(40)
}

const reportOf = (disks: Disk[], parts: Partial<Report> = {}): Report => ({
  ...makeTestReport([resource()]),
  disks,
  ...parts
})
/** Renders the table rows with plain spaces and without bars. */
const rowsOf = (...args: Parameters<typeof reportOf>) =>
  renderDisks(reportOf(...args))
    .replaceAll('\u00a0', ' ')
    .replace(/`[█ ]+`/g, 'bar')
    .split('\n')
    .toSpliced(1, 1)

test('a disk before and after, with its inodes', () => {
  expect(describeDisks(reportOf([one]))).toBe(' Disk 91 % → 64 % used.')
  expect(rowsOf([one])).toEqual([
    '| disk | used |  | free | inodes used | inodes free |',
    '| before | bar | 91 % | 9 MB | 99 % | 20,000 |',
    '| after | bar | 64 % | 36 MB | 39 % | 1,234,567 |'
  ])
})

test('without inode counts there is no inode column', () => {
  expect(rowsOf([{ ...one, before: space(91), after: space(64) }])).toEqual([
    '| disk | used |  | free |',
    '| before | bar | 91 % | 9 MB |',
    '| after | bar | 64 % | 36 MB |'
  ])
})

test('two disks are shown with what they hold', () => {
  expect(describeDisks(reportOf([rootDir, imageStore]))).toBe(
    ' Disk 91 % → 64 % used, image store disk 80 % → 40 % used.'
  )
  expect(rowsOf([rootDir, imageStore])).toEqual([
    '| disk | used |  | free | inodes used | inodes free |',
    '| `/var/lib/docker` (volumes, logs): before | bar | 91 % | 9 MB | 99 % | 20,000 |',
    '| after | bar | 64 % | 36 MB | 39 % | 1,234,567 |',
    '| `/var/lib/a\\|b` (images, containers, build cache): before | bar | 80 % | 20 MB |  |  |',
    '| after | bar | 40 % | 60 MB |  |  |'
  ])
})

test('a dry run estimates each disk by the resources on it', () => {
  const planned = (parts: Parameters<typeof resource>[0]) =>
    resource({ outcome: 'planned', ...parts })
  const resources = [
    planned({ kind: 'image', bytes: 10 * megabyte }),
    planned({ kind: 'container', bytes: 7 * megabyte, logBytes: 5 * megabyte }),
    planned({ kind: 'build-cache', bytes: 1 * megabyte }),
    planned({ kind: 'volume', bytes: 20 * megabyte }),
    planned({ kind: 'builder', bytes: null }),
    planned({ kind: 'network', bytes: 0 })
  ]
  const dry = { resources, dryRun: true }
  expect(describeDisks(reportOf([rootDir, imageStore], dry))).toBe(
    ' Disk 91 % used, image store disk 80 % used.'
  )
  const wouldBe = (...disks: Disk[]) =>
    rowsOf(disks, dry).filter((row) => row.startsWith('| would be'))
  expect(wouldBe(rootDir, imageStore)).toEqual([
    '| would be | bar | ≈ 66 % | ≈ 34 MB |  |  |',
    '| would be | bar | ≈ 67 % | ≈ 33 MB |  |  |'
  ])
  expect(wouldBe(one)).toEqual(['| would be | bar | ≈ 53 % | ≈ 47 MB |  |  |'])
})

test('a use that did not change is given once', () => {
  expect(describeDisks(reportOf([{ ...one, after: space(91) }]))).toBe(
    ' Disk 91 % used.'
  )
})

test('percentages are rounded up, as df does', () => {
  const used = (usedBytes: number, freeBytes: number) =>
    describeDisks(
      reportOf([{ ...one, before: { usedBytes, freeBytes } }], { dryRun: true })
    )
  expect(used(7, 93)).toBe(' Disk 7 % used.')
  expect(used(701, 9_299)).toBe(' Disk 8 % used.')
  expect(used(99_001, 999)).toBe(' Disk 100 % used.')
  expect(used(0, 0)).toBe(' Disk 0 % used.')
})

test('a disk that cannot be read, or no longer can', () => {
  expect(describeDisks(reportOf([]))).toBe('')
  expect(renderDisks(reportOf([]))).toBe('')
  const lost = { ...rootDir, before: one.before }
  delete lost.after
  expect(describeDisks(reportOf([lost]))).toBe(' Disk 91 % used.')
  expect(rowsOf([lost])).toHaveLength(2)
})
