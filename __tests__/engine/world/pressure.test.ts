import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import type { ImageFixture } from '../../../scripts/fixtures/fixtures.ts'
import { createCache, nextSecond, random } from '../harness/cache.ts'
import { layerOf, megabyte, useDisk } from '../harness/disk.ts'
import { useOwnEngine } from '../harness/engine.ts'
import { familiar, outcomes, resource } from '../harness/report.ts'
import { callsIn, noteCalls } from '../harness/standIn.ts'
import { containerd, onlyOnDocker } from '../harness/target.ts'
import { everything } from '../harness/things.ts'

// The filesystem counts no inodes.
const tests = useOwnEngine({ dataSize: '200m,nr_inodes=0' })
const { engine, load, build, contents, dockerThat, folder } = tests
const { step, leaveFree, beyond } = useDisk(tests)
const size = 200 * 1_048_576

const inputs = { ...everything, 'age-from': 'created', 'state-dir': '' }

/** An image created that many hours after the first, with layers that take that much of the disk. */
const imageOf = (
  hour: number,
  reference: string,
  layers: Record<string, number>
): ImageFixture => ({
  references: [reference],
  created: new Date(Date.UTC(2024, 0, 1, hour)).toISOString(),
  layers: Object.entries(layers).map(([name, bytes]) => ({
    name,
    bytes: layerOf(bytes)
  }))
})

/** Images with nothing in common. */
const imagesOf = (count: number, bytes: number) =>
  Array.from({ length: count }, (_, hour) =>
    imageOf(hour, `app-${hour}:1`, { [`own-${hour}`]: bytes })
  )

describe('60 images on a disk that is 92 % used', () => {
  const pressure = { 'when-free-below': '10%', 'until-free-above': '30%' }
  /** Neither the names nor the order of loading are in the order of age. */
  const referenceOf = (hour: number) => `app-${(hour * 7) % 60}:1`
  const commonBase = () => 'base'
  const baseOfGroup = (hour: number) => `base-${Math.floor(hour / 10)}`

  test.each([
    ['on one common base', commonBase, 5 * megabyte],
    ['in groups', baseOfGroup, 2 * megabyte]
  ])(
    '%s: the removal ends at the target, longest idle first',
    async (_, baseOf, baseBytes) => {
      const images = Array.from({ length: 60 }, (_, hour) =>
        imageOf(hour, referenceOf(hour), {
          [baseOf(hour)]: baseBytes,
          [`own-${hour}`]: megabyte
        })
      )
      const byAge = images.flatMap(({ references }) => references)
      await load(images.toReversed())
      await leaveFree(8)

      const done = await step({ ...inputs, ...pressure })

      expect(done.exitCode).toBe(0)
      expect(done.stdout).not.toContain('::warning::')
      const over = await beyond(30)
      expect(over).toBeGreaterThanOrEqual(0)
      expect(over).toBeLessThan(0.05 * 0.3 * size)
      const { references } = await contents()
      const left = byAge.filter((one) => references.includes(one))
      expect(left).toEqual(byAge.slice(60 - left.length))
      expect(done.outputs).toMatchObject({
        ...{ 'target-reached': 'true', skipped: 'false' },
        'removed-images': String(60 - left.length)
      })
      expect(done.report?.pressure).toEqual({
        ...{ whenFreeBelow: '10%', untilFreeAbove: '30%' },
        ...{ open: true, targetReached: true }
      })
      const held = done.report?.resources.filter(
        ({ reason, heldBy }) =>
          reason === 'target-reached' && heldBy === 'until-free-above'
      )
      const heldReferences = held?.flatMap((one) => one.references ?? []) ?? []
      expect(heldReferences.map(familiar).sort()).toEqual(left.toSorted())

      const docker = await dockerThat(noteCalls)
      const again = await step({ ...inputs, ...pressure, docker })
      expect(again.exitCode).toBe(0)
      expect(await callsIn(folder())).toEqual([expect.stringMatching(/^info /)])
      expect(again.outputs).toMatchObject({
        ...{ 'target-reached': 'true', skipped: 'true' }
      })
    }
  )
})

test('a target that cannot be reached: all that may go is removed, and the inputs that hold most are named', async () => {
  const minutesAgo = (minutes: number) => ({
    created: new Date(Date.now() - minutes * 60_000).toISOString()
  })
  const alone = (name: string, megabytes: number, more: object = {}) => ({
    ...imageOf(0, `${name}:1`, { [name]: megabytes * megabyte }),
    ...more
  })
  await load([
    ...imagesOf(3, megabyte).map((one, index) => ({
      ...one,
      references: [`app:${index}`]
    })),
    alone('newest', 9),
    alone('labelled', 12, { labels: { keep: '' } }),
    alone('recent', 6, minutesAgo(10)),
    alone('newer', 1, { references: ['recent:2'], ...minutesAgo(5) }),
    alone('precious', 1)
  ])
  await leaveFree(8)

  const done = await step({
    ...inputs,
    ...{ 'when-free-below': '10%', 'until-free-above': '90%', until: '1h' },
    ...{ 'keep-last': '1', 'protected-labels': 'keep' },
    'protected-images': 'busybox, precious'
  })

  expect(done.exitCode).toBe(0)
  expect((await contents()).references).toEqual([
    ...['app:2', 'busybox:1', 'labelled:1', 'newest:1', 'precious:1'],
    ...['recent:1', 'recent:2']
  ])
  expect(done.outputs['target-reached']).toBe('false')
  expect(done.stdout).toMatch(
    /^::warning::until-free-above: 90%25 was not reached: \d+ %25 \([\d.]+ MB\) free on \S+\/data\. protected-labels: keep holds 1\d MB; keep-last: 1 holds 1\d MB; until: 1h holds [67][\d.]* MB\.$/m
  )
  expect(done.summary).toContain('until-free-above: 90% was not reached')
})

/** Makes `statfs` answer as it would have answered two seconds ago. */
const lateStatfs = `
const { promises } = require('node:fs')
const { statfs } = promises
const seen = []
const look = async (path) => seen.push({ at: Date.now(), space: await statfs(path) })
promises.statfs = async (path) => {
  if (seen.length === 0) {
    await look(path)
    setInterval(look, 20, path).unref()
  }
  return (seen.findLast(({ at }) => at < Date.now() - 2_000) ?? seen[0]).space
}
require('node:module').syncBuiltinESMExports()
`

test('free space that shows late does not make the removal go too far', async () => {
  await load(imagesOf(12, 8 * megabyte))
  await leaveFree(10)
  const late = join(folder(), 'late.cjs')
  await writeFile(late, lateStatfs)

  const done = await step(
    { ...inputs, 'until-free-above': '20%' },
    { NODE_OPTIONS: `--require ${late}` }
  )

  expect(done.exitCode).toBe(0)
  expect(outcomes(done)).toEqual({ removed: 3, kept: 9 })
  expect(await beyond(20)).toBeGreaterThanOrEqual(0)
  expect(done.outputs['target-reached']).toBe('true')
})

describe('while others write to the disk', () => {
  const pressure = { 'when-free-below': '21%', 'until-free-above': '30%' }
  /** A docker that writes 10 MB before it removes images. */
  const dockerThatFills = (when: string) => {
    const file = join(engine().folder, 'data/filler')
    return dockerThat(
      `fill() { dd if=/dev/zero bs=${megabyte} count=10 >>${file}; }
      case "$1 $2" in "image rm") ${when} fill 2>/dev/null ;; esac`
    )
  }

  test('the removal goes on to the target', async () => {
    await load(imagesOf(16, 4 * megabyte))
    await leaveFree(20)

    const docker = await dockerThatFills('once')
    const done = await step({ ...inputs, ...pressure, docker })

    expect(done.exitCode).toBe(0)
    expect(outcomes(done)).toEqual({ removed: 8, kept: 8 })
    expect(await beyond(30)).toBeGreaterThanOrEqual(0)
    expect(done.outputs['target-reached']).toBe('true')
  })

  test('the removal goes on to the end of the plan, and ends', async () => {
    await load(imagesOf(3, 10 * megabyte))
    await leaveFree(20)

    const docker = await dockerThatFills('')
    const done = await step({ ...inputs, ...pressure, docker })

    expect(done.exitCode).toBe(0)
    expect(outcomes(done)).toEqual({ removed: 3 })
    expect(done.outputs['target-reached']).toBe('false')
    expect(done.stdout).toContain('until-free-above: 30%25 was not reached')
  })
})

describe('build cache', () => {
  const { fillCache, cached } = createCache(tests)
  const withCache = { ...inputs, 'include-build-cache': 'true' }
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  const dockerTest = onlyOnDocker('build cache')

  dockerTest('the prune leaves what is not missing', async () => {
    for (const name of names) await fillCache(name, layerOf(4))
    await load([imageOf(0, 'app:1', { own: 4 * megabyte })])
    await leaveFree(20)
    await nextSecond()

    const done = await step({ ...withCache, 'until-free-above': '24%' })

    expect(done.exitCode).toBe(0)
    expect(resource(done, 'build-cache').outcome).toBe('removed')
    expect(resource(done, 'app:1').reason).toBe('target-reached')
    expect(await cached()).toEqual(names.slice(3))
    expect(await beyond(24)).toBeGreaterThanOrEqual(0)
  })

  dockerTest(
    'images that share layers with the cache free the disk by the prune that follows',
    async () => {
      for (const name of names)
        await build(`FROM busybox:1\n${random(name, layerOf(4))}\n`, {
          ...{ tag: `${name}:1`, buildKit: true }
        })
      await leaveFree(20)
      await nextSecond()

      const done = await step({ ...withCache, 'until-free-above': '24%' })

      expect(done.exitCode).toBe(0)
      expect(done.outputs['target-reached']).toBe('true')
      expect(await beyond(24)).toBeGreaterThanOrEqual(0)
      // The containerd store has a layer three times: packed, unpacked, and in the cache.
      const left = names.slice(containerd ? 2 : 3)
      expect((await contents()).references).toEqual([
        'busybox:1',
        ...left.map((name) => `${name}:1`)
      ])
      expect(await cached()).toEqual(left)
    }
  )
})
