import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { expect } from '@jest/globals'
import type { Step } from '../../../scripts/engines/step.ts'
import { startRegistry } from '../../../scripts/engines/registry.ts'
import { logsNote } from '../../../src/host/logs.ts'
import { random } from '../harness/cache.ts'
import { seeingDiskOf, useEngine } from '../harness/engine.ts'
import {
  createMeasure,
  expectClose,
  expectExact,
  expectInRange,
  expectOnDisk
} from '../harness/figures.ts'
import { resource } from '../harness/report.ts'
import { onlyOnDocker } from '../harness/target.ts'
import { everything as withoutCache, oldImage } from '../harness/things.ts'

const tests = useEngine()
const { docker, api, engine, load, build } = tests
const measure = createMeasure(tests)
const test = onlyOnDocker('image sizes in system df')
const everything = { ...withoutCache, 'include-build-cache': 'true' }

const buildWithBuildKit = (name: string, ...lines: string[]) =>
  build(lines.join('\n'), { tag: `${name}:1`, buildKit: true })

test('images on shared bases, images with several tags, and containers with data', async () => {
  const bases = ['one', 'two'].map((name) => ({ name, bytes: 6_000_000 }))
  const days = [1, 2, 3]
  await load([
    ...bases.flatMap((base) =>
      days.map((day) => ({
        references: [`${base.name}:${day}`],
        layers: [base, { name: `${base.name}-${day}`, bytes: day * 1_000_000 }]
      }))
    ),
    ...days.map((day) => ({
      references: [`app:${day}`, `mirror/app:${day}`, `mirror/app:new-${day}`],
      layers: [{ name: `app-${day}`, bytes: 3_000_000 }]
    }))
  ])
  await docker('tag', 'app:3', 'kept:1')
  await Promise.all(
    ['job', 'other'].map((name) =>
      docker(
        ...['run', '--network', 'none', '--name', name, 'busybox:1'],
        ...['dd', 'if=/dev/urandom', 'of=/data', 'bs=1000000', 'count=3']
      )
    )
  )

  const figures = await measure({
    ...everything,
    'protected-images': 'busybox, one:2, kept'
  })

  expectExact(figures)
  expect(figures.reclaimed).toBeGreaterThan(27_900_000)
})

/** Writes 1 MB to the container, and about 2.7 MB to its log. */
const writeAndLog = [
  ...['busybox:1', 'sh', '-c'],
  'head -c 1000000 /dev/urandom >/data; head -c 2000000 /dev/urandom | base64 -w 4000'
]
const loggers = (port: number) => ({
  json: ['--log-driver=json-file'],
  rotated: [
    ...['--log-driver=json-file', '--log-opt=max-size=1m'],
    '--log-opt=max-file=3'
  ],
  local: [
    ...['--log-driver=local', '--log-opt=max-size=1m'],
    '--log-opt=max-file=3'
  ],
  // The engine keeps a local copy of logs that it sends.
  sent: [
    ...['--log-driver=gelf', '--log-opt=gelf-compression-type=none'],
    `--log-opt=gelf-address=udp://127.0.0.1:${port}`
  ],
  silent: ['--log-driver=none']
})

test('container logs, with every driver that keeps files', async () => {
  const server = createSocket('udp4').bind(0, '127.0.0.1')
  await once(server, 'listening')
  const all = loggers(server.address().port)
  for (const [name, options] of Object.entries(all))
    await docker(
      ...[
        'run',
        '--network',
        'none',
        '--name',
        name,
        ...options,
        ...writeAndLog
      ]
    )
  server.close()
  const without = seeingDiskOf(engine())
  const measure = createMeasure({
    ...tests,
    step: (inputs) => tests.step(inputs, {}, { without })
  })
  const blind = await tests.step({ ...everything, 'dry-run': 'true' })

  const figures = await measure(everything)

  const bytesOf = (step: Step, name: string) => resource(step, name).bytes ?? 0
  const logOf = (name: string) => resource(figures.done, name).logBytes ?? 0
  expectClose(figures.planned, figures.reclaimed)
  expectOnDisk(figures)
  expect(logOf('json')).toBeGreaterThan(2_700_000)
  for (const name of ['rotated', 'local', 'sent'])
    expect(logOf(name)).toBeGreaterThan(900_000)
  expect(logOf('silent')).toBe(0)
  expect(figures.done.stdout).not.toContain(logsNote)
  // Without access to the engine's files, only the containers' own data counts.
  for (const name of Object.keys(all))
    expectClose(bytesOf(blind, name), bytesOf(figures.done, name) - logOf(name))
  expect(blind.stdout.split(logsNote)).toHaveLength(2)
  expect(blind.summary).toContain(logsNote)
})

test('images from a registry', async () => {
  const registry = await startRegistry(engine())
  try {
    const [removed = '', kept = ''] = ['app', 'kept'].map(
      (name) => `${registry.address}/${name}`
    )
    const zeros = (file: string, megabytes: number) =>
      `RUN dd if=/dev/zero of=/${file} bs=1000000 count=${megabytes}`
    await buildWithBuildKit(
      'base',
      'FROM busybox:1',
      random('base', 6),
      zeros('zeros', 3)
    )
    for (const [index, name] of [removed, kept].entries()) {
      await buildWithBuildKit(
        name,
        'FROM base:1',
        random('app', index + 3),
        zeros('more', 1)
      )
      await docker('push', `${name}:1`)
    }
    await docker('image', 'rm', 'base:1', `${removed}:1`, `${kept}:1`)
    await api().post('/build/prune?all=1')
    for (const name of [removed, kept]) await docker('pull', `${name}:1`)

    const figures = await measure({
      ...everything,
      'protected-images': `busybox, ${kept}`
    })

    const { containerd, planned, reclaimed, df, done } = figures
    expectClose(planned, reclaimed)
    // No command prints the size of a packed layer.
    expectClose(reclaimed, df, containerd ? 0.05 : 0.01)
    expectOnDisk(figures)
    const estimated = done.report?.resources.some((one) => one.estimated)
    expect(estimated).toBe(containerd)
  } finally {
    await registry.stop()
  }
})

/** Builds an image on busybox, and another on a loaded base image. */
async function fill(): Promise<void> {
  await buildWithBuildKit('one', 'FROM busybox:1', random('one', 5))
  await load([oldImage('base', 5_000_000)])
  await buildWithBuildKit('built', 'FROM base:1', 'COPY Dockerfile /')
}

// On the containerd store, `system df` counts unpacked cache layers twice: as cache and as images.

test('the build cache while the images are kept, then the images while the cache is kept', async () => {
  await fill()
  await buildWithBuildKit('gone', 'FROM busybox:1', random('gone', 5))
  await docker('image', 'rm', 'gone:1')

  const cache = await measure({ ...everything, 'include-images': 'false' })

  expectInRange(cache)
  expect(cache.reclaimed).toBeGreaterThan(4_900_000)
  if (!cache.containerd) expectClose(cache.reclaimed, cache.df)

  const images = await measure(withoutCache)

  expectInRange(images)
  for (const name of ['one:1', 'built:1', 'base:1'])
    expect(resource(images.done, name).outcome).toBe('removed')
  // `system df` does not count a base image that only the cache holds.
  if (!images.containerd) expectClose(images.reclaimed + 5_000_000, images.df)
})

test('images built by BuildKit together with the build cache', async () => {
  await fill()
  const figures = await measure(everything)
  expectInRange(figures)
  expectClose(figures.reclaimed, figures.df)
  expect(figures.reclaimed).toBeGreaterThan(9_900_000)
})
