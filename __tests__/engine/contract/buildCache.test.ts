import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { cacheOnly, createCache, nextSecond, random } from '../harness/cache.ts'
import { findOtherClis, makeDockerConfig } from '../harness/clis.ts'
import { useEngine } from '../harness/engine.ts'
import {
  createMeasure,
  expectClose,
  expectInRange
} from '../harness/figures.ts'
import { resource } from '../harness/report.ts'
import { onlyOnDocker, podman } from '../harness/target.ts'
import { oldImage } from '../harness/things.ts'

const tests = useEngine()
const { docker, load, step, folder, build, contents } = tests
const { buildInCache, fillCache, cached, cachedTypes } = createCache(tests)
const measure = createMeasure(tests)

/** A current CLI with buildx, as runners have it. */
async function withBuildx(): Promise<Record<string, string>> {
  const { new: docker, buildx } = await findOtherClis()
  return {
    PATH: `${dirname(docker)}:${process.env['PATH'] ?? ''}`,
    DOCKER_CONFIG: await makeDockerConfig(join(folder(), 'buildx'), {
      plugin: buildx
    })
  }
}

for (const [name, makeEnvironment] of Object.entries({
  'the engine’s own CLI': () => Promise.resolve({}),
  buildx: withBuildx
}))
  onlyOnDocker('build cache')(
    `build cache goes as until and build-cache-keep say, with ${name}`,
    async () => {
      const env = await makeEnvironment()
      // On the containerd store a record takes twice its size.
      await fillCache('old', 10)
      await fillCache('new', 2)
      // What was used a moment ago goes, but not for certain.
      await sleep(2_000)

      const [early, plan] = await Promise.all([
        step({ ...cacheOnly, until: '1h' }, env),
        step({ ...cacheOnly, until: '0s', 'dry-run': 'true' }, env),
        nextSecond()
      ])
      expect(resource(early, 'build-cache').outcome).toBe('kept')
      expect(resource(plan, 'build-cache').outcome).toBe('planned')
      expect(Number(plan.outputs['planned-bytes'])).toBeGreaterThan(11_900_000)
      expect(await cached()).toEqual(['new', 'old'])

      const keep = { ...cacheOnly, until: '0s', 'build-cache-keep': '6MB' }
      expect(resource(await step(keep, env), 'build-cache').outcome).toBe(
        'removed'
      )
      expect(await cached()).toEqual(['new'])

      const late = await step({ ...cacheOnly, until: '0s' }, env)
      expect(resource(late, 'build-cache').outcome).toBe('removed')
      expect(Number(late.outputs['reclaimed-bytes'])).toBeGreaterThan(1_900_000)
      expect(await cached()).toEqual([])
    }
  )

/** Makes records of every type that needs no registry, some of them built on others. */
async function fillEveryType(): Promise<void> {
  const mount = '--mount=type=cache,target=/cache'
  await buildInCache(
    [
      ...['FROM busybox:1 AS first', random('first', 3), random('second', 3)],
      ...['FROM busybox:1', 'COPY context /', 'COPY --from=first /first /'],
      ...[random('cache/own', 7, mount), random('last', 2)],
      random('cache/owned', 7, `${mount},id=owned,uid=1000`)
    ],
    { context: randomBytes(4_000_000) }
  )
}

onlyOnDocker('build cache')('builds make records of every type', async () => {
  await fillEveryType()
  expect(await cachedTypes()).toEqual([
    'exec.cachemount',
    'regular',
    'source.local'
  ])
})

// Nobody lists the records before the step: that alone renews the last use of a cache mount.
for (const [title, wait, inputs] of [
  ['until: 0s', 2_500, { until: '0s' }],
  ['until: 2s', 5_000, { until: '2s' }],
  ['build-cache-keep', 2_500, { until: '0s', 'build-cache-keep': '6MB' }]
] as const)
  onlyOnDocker('build cache')(
    `records of every type free what was planned, and what is reported, with ${title}`,
    async () => {
      await fillEveryType()
      await sleep(wait)
      const figures = await measure({ ...cacheOnly, ...inputs })
      expectInRange(figures)
      expect(figures.planned).toBeGreaterThan(11_900_000)
    }
  )

onlyOnDocker('build cache')(
  'the figure of a record of a base image that is gone is an estimate: it frees what it has, or more',
  async () => {
    await load([oldImage('base', 5_000_000)])
    await buildInCache(['FROM base:1', 'COPY context /'], {
      context: randomBytes(2_000_000)
    })
    await docker('image', 'rm', 'base:1')
    await sleep(2_500)
    const { planned, reclaimed, disk, done } = await measure({
      ...cacheOnly,
      until: '0s'
    })
    expectClose(planned, reclaimed)
    expect(disk).toBeGreaterThan(6_900_000)
    expect(disk).toBeGreaterThan(reclaimed - 500_000)
    expect(resource(done, 'build-cache').estimated).toBe(true)
  }
)

// Its builds leave images, whose untagged parents the image rules decide.
if (podman)
  test('Podman has no build cache to remove', async () => {
    await build('FROM busybox:1\nRUN echo >/built\n', { tag: 'built:1' })
    const before = await contents()
    const done = await step({ ...cacheOnly, until: '0s' })
    expect(done.exitCode).toBe(0)
    expect(resource(done, 'build-cache')).toMatchObject({
      outcome: 'kept',
      detail: 'it is empty'
    })
    expect(await contents()).toEqual(before)
  })

onlyOnDocker('build cache')(
  'build cache goes although buildx is missing where it is asked for, or broken',
  async () => {
    const environments = [
      {
        DOCKER_CONFIG: await makeDockerConfig(join(folder(), 'none'), {}),
        DOCKER_BUILDKIT: '1'
      },
      { ...(await withBuildx()), BUILDX_CONFIG: '/dev/null/buildx' }
    ]
    for (const env of environments) {
      await fillCache('old', 1)
      await nextSecond()

      const done = await step({ ...cacheOnly, until: '0s' }, env)

      expect(done.exitCode).toBe(0)
      expect(resource(done, 'build-cache').outcome).toBe('removed')
      expect(await cached()).toEqual([])
    }
  }
)
