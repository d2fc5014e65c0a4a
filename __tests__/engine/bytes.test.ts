import { writeSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { get } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from '@jest/globals'
import { startRegistry } from '../../scripts/registry.ts'
import type { Step } from '../../scripts/step.ts'
import { formatSize } from '../../src/units.ts'
import { oldImage, resource, useEngine } from './harness.ts'

// Every figure is held against the engine's own, and against the disk.

const { docker, engine, load, build, step } = useEngine({ dataSize: '4g' })
const everything = {
  'keep-last': '0',
  until: '0s',
  'protected-images': 'busybox'
}
const withoutCache = { ...everything, 'include-build-cache': 'false' }

type Figures = {
  planned: number
  plannedAtMost: number
  reclaimed: number
  /** Images, containers and build cache, as the engine's `system df` counts them. */
  df: number
  /** Free space of the engine's disk. */
  disk: number
  done: Step
}

let onContainerd = false
const table: string[][] = []
afterAll(() => {
  const lines = table.map((cells) => `| ${cells.join(' | ')} |\n`)
  writeSync(2, `| load | planned | reclaimed | system df | disk |\n`)
  for (const line of lines) writeSync(2, line)
})

type DiskUsage = {
  LayersSize: number
  Containers: { SizeRw?: number }[] | null
  BuildCache: { Size: number; Shared: boolean }[] | null
}

/** What the engine says that it takes, to the byte: `system df` prints four digits of it. */
async function readUsage(): Promise<number> {
  const usage = await new Promise<DiskUsage>((resolve, reject) => {
    const socketPath = engine().host.replace('unix://', '')
    get({ socketPath, path: '/system/df' }, (answer) => {
      json(answer).then((value) => {
        resolve(value as DiskUsage)
      }, reject)
    }).on('error', reject)
  })
  // The containerd store counts what containers wrote among the images.
  const containers = onContainerd ? [] : (usage.Containers ?? [])
  const records = (usage.BuildCache ?? []).filter(({ Shared }) => !Shared)
  return [
    usage.LayersSize,
    ...containers.map(({ SizeRw = 0 }) => SizeRw),
    ...records.map(({ Size }) => Size)
  ].reduce((sum, bytes) => sum + bytes, 0)
}

/** The used space of the engine's disk, once it moves no more: stores collect their garbage a little later. */
async function readDisk(): Promise<number> {
  const data = join('/proc', String(engine().pid), 'root', engine().folder)
  let last = -1
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const { blocks, bfree, bsize } = await statfs(join(data, 'data'))
    const used = (blocks - bfree) * bsize
    if (used === last) return used
    last = used
    await sleep(300)
  }
  throw new Error('the disk does not come to rest')
}

/** Plans, removes and measures; leaves a line in the table. */
async function measure(
  name: string,
  inputs: Record<string, string>
): Promise<Figures> {
  const plan = await step({ ...inputs, 'dry-run': 'true' })
  onContainerd = plan.report?.engine.store === 'containerd'
  const before = { df: await readUsage(), disk: await readDisk() }
  const done = await step(inputs)
  expect(done.exitCode).toBe(0)
  const disk = before.disk - (await readDisk())
  const figures = {
    planned: Number(plan.outputs['planned-bytes']),
    plannedAtMost: (plan.report?.resources ?? [])
      .filter(({ outcome }) => outcome === 'planned')
      .reduce(
        (sum, { bytes, bytesAtMost }) => sum + (bytesAtMost ?? bytes ?? 0),
        0
      ),
    reclaimed: Number(done.outputs['reclaimed-bytes']),
    df: before.df - (await readUsage()),
    disk
  }
  const { planned, plannedAtMost } = figures
  const upTo = plannedAtMost > planned ? ` to ${formatSize(plannedAtMost)}` : ''
  table.push([
    name,
    `${formatSize(planned)}${upTo}`,
    formatSize(figures.reclaimed),
    formatSize(figures.df),
    formatSize(figures.disk)
  ])
  return { ...figures, done }
}

/** Some bytes are the engine's own notes about what it holds, and of its databases, which grow in steps. */
const notes = 50_000
const databases = 500_000

function expectClose(
  figure: number,
  truth: number,
  share: number,
  tolerance = notes
): void {
  expect(Math.abs(figure - truth)).toBeLessThanOrEqual(
    Math.max(share * Math.abs(truth), tolerance)
  )
}

function expectOnDisk({ reclaimed, disk }: Figures): void {
  expectClose(reclaimed, disk, 0.05, databases)
}

/** What is certain beforehand, what was reclaimed, the engine and the disk say the same. */
function expectExact(figures: Figures): void {
  const { planned, reclaimed, df } = figures
  expect(reclaimed).toBeGreaterThan(0)
  expectClose(planned, reclaimed, 0.01)
  expectClose(reclaimed, df, 0.01)
  expectOnDisk(figures)
}

/** The plan was a range, and what came of it lies in it and is what the disk gained. */
function expectInRange(figures: Figures): void {
  const { planned, plannedAtMost, reclaimed } = figures
  expect(reclaimed).toBeGreaterThanOrEqual(planned - notes)
  expect(reclaimed).toBeLessThanOrEqual(plannedAtMost + notes)
  expectOnDisk(figures)
}

test('images on shared bases', async () => {
  const bases = ['one', 'two'].map((name) => ({ name, bytes: 20_000_000 }))
  await load(
    bases.flatMap((base) =>
      [1, 2, 3].map((day) => ({
        references: [`${base.name}:${day}`],
        created: `2024-05-0${day}T12:00:00Z`,
        layers: [base, { name: `${base.name}-${day}`, bytes: day * 3_000_000 }]
      }))
    )
  )
  expectExact(
    await measure('shared bases, all but one', {
      ...everything,
      'protected-images': 'busybox, one:2'
    })
  )
})

test('images with several tags', async () => {
  await load(
    [1, 2, 3].map((day) => ({
      references: [
        `app:${day}`,
        `mirror/app:${day}`,
        `mirror/app:latest-${day}`
      ],
      created: `2024-05-0${day}T12:00:00Z`,
      layers: [{ name: `app-${day}`, bytes: 8_000_000 }]
    }))
  )
  await docker('tag', 'app:3', 'kept:1')
  expectExact(
    await measure('several tags, one of them kept', {
      ...everything,
      'protected-images': 'busybox, kept'
    })
  )
})

test('chains of dangling images', async () => {
  for (const name of ['a', 'b'])
    await build(
      [
        'FROM busybox:1',
        ...[1, 2, 3].map(
          (n) => `RUN dd if=/dev/urandom of=/${name}${n} bs=1000000 count=${n}`
        )
      ].join('\n')
    )
  expectExact(
    await measure('dangling chains', {
      ...everything,
      'include-images': 'dangling'
    })
  )
})

test('one image of 1 GB', async () => {
  await build(
    'FROM busybox:1\nRUN dd if=/dev/zero of=/big bs=1000000 count=1000\n',
    { tag: 'big:1' }
  )
  expectExact(await measure('one image of 1 GB', everything))
})

test('200 small images', async () => {
  await load(
    Array.from({ length: 200 }, (_, index) =>
      oldImage(`app-${index}`, 1_000_000)
    )
  )
  expectExact(await measure('200 small images', everything))
})

test('images from a registry', async () => {
  const registry = await startRegistry(engine())
  try {
    const names = [1, 2, 3].map((day) => `${registry.address}/app:${day}`)
    await build(
      'FROM busybox:1\nRUN dd if=/dev/urandom of=/base bs=1000000 count=10; dd if=/dev/zero of=/zeros bs=1000000 count=5\n',
      { tag: 'base:1', buildKit: true }
    )
    for (const [index, name] of names.entries()) {
      await build(
        `FROM base:1\nRUN dd if=/dev/urandom of=/app bs=1000000 count=${index + 3}; dd if=/dev/zero of=/more bs=1000000 count=1\n`,
        { tag: name, buildKit: true }
      )
      await docker('push', name)
    }
    await docker('image', 'rm', 'base:1', ...names)
    await docker('builder', 'prune', '--all', '--force')
    for (const name of names) await docker('pull', name)

    const figures = await measure('pulled from a registry, packed', {
      ...everything,
      'protected-images': `busybox, ${names[1] ?? ''}`
    })

    // No command tells the size of one packed layer.
    const share = onContainerd ? 0.05 : 0.01
    expectClose(figures.planned, figures.reclaimed, 0.01)
    expectClose(figures.reclaimed, figures.df, share)
    expectOnDisk(figures)
    const [estimated] = (figures.done.report?.resources ?? []).filter(
      ({ estimated }) => estimated
    )
    expect(estimated !== undefined).toBe(onContainerd)
  } finally {
    await registry.stop()
  }
})

const buildTwo = async () => {
  for (const name of ['one', 'two'])
    await build(
      `FROM busybox:1\nRUN dd if=/dev/urandom of=/${name} bs=1000000 count=20\n`,
      { tag: `${name}:1`, buildKit: true }
    )
}

// On the containerd store `system df` counts the unpacked layers of the cache twice, once among the images.

test('images that BuildKit built, while its cache stays', async () => {
  await buildTwo()
  const figures = await measure('built by BuildKit, cache kept', withoutCache)
  expectInRange(figures)
  if (!onContainerd) expectClose(figures.reclaimed, figures.df, 0.01)
})

test('images that BuildKit built, and its cache in the same run', async () => {
  await buildTwo()
  const figures = await measure('built by BuildKit, cache pruned', everything)
  expectInRange(figures)
  expectClose(figures.reclaimed, figures.df, 0.01)
  expect(figures.reclaimed).toBeGreaterThan(39_900_000)
})

test('the cache of images that BuildKit built, while these stay', async () => {
  await buildTwo()
  await build(
    'FROM busybox:1\nRUN dd if=/dev/urandom of=/gone bs=1000000 count=5\n',
    { tag: 'gone:1', buildKit: true }
  )
  await docker('image', 'rm', 'gone:1')
  const figures = await measure('built by BuildKit, only cache pruned', {
    ...everything,
    'include-images': 'false'
  })
  expectInRange(figures)
  expect(figures.reclaimed).toBeGreaterThan(4_900_000)
  if (!onContainerd) expectClose(figures.reclaimed, figures.df, 0.01)
})

/** An image of 9 MB, and one that BuildKit built on it. */
const buildOnBase = async () => {
  await load([oldImage('base', 9_000_000)])
  await build('FROM base:1\nCOPY Dockerfile /\n', {
    tag: 'built:1',
    buildKit: true
  })
}

test('an image that BuildKit built on, while its cache stays', async () => {
  await buildOnBase()
  const figures = await measure('a base of BuildKit, cache kept', withoutCache)
  // On overlay2 `system df` takes its bytes for freed; the cache has them all the same.
  expectInRange(figures)
  expect(resource(figures.done, 'base:1').outcome).toBe('removed')
})

test('an image that BuildKit built on, and its cache in the same run', async () => {
  await buildOnBase()
  const figures = await measure('a base of BuildKit, cache pruned', everything)
  expectInRange(figures)
  expectClose(figures.reclaimed, figures.df, 0.01)
  expect(figures.reclaimed).toBeGreaterThan(8_900_000)
})

test('containers with data that they wrote', async () => {
  for (const name of ['one', 'two'])
    await docker(
      ...['run', '--network', 'none', '--name', name, 'busybox:1'],
      ...['dd', 'if=/dev/urandom', 'of=/data', 'bs=1000000', 'count=7']
    )
  expectExact(await measure('containers with data', everything))
})
