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

/** The environment with a current CLI and buildx, as on GitHub's runners. */
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
    `until and build-cache-keep apply to build cache, with ${name}`,
    async () => {
      const env = await makeEnvironment()
      // On the containerd store, a record occupies twice its size.
      await fillCache('old', 10)
      await fillCache('new', 2)
      // It is uncertain whether records used within the last second are removed.
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

/** Creates records of every type that needs no registry, including parents and children. */
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

onlyOnDocker('build cache')('builds create records of every type', async () => {
  await fillEveryType()
  expect(await cachedTypes()).toEqual([
    'exec.cachemount',
    'regular',
    'source.local'
  ])
})

// Nothing lists the records before the step, since listing renews the last use of a cache mount.
for (const [title, wait, inputs] of [
  ['until: 0s', 2_500, { until: '0s' }],
  ['until: 2s', 5_000, { until: '2s' }],
  ['build-cache-keep', 2_500, { until: '0s', 'build-cache-keep': '6MB' }]
] as const)
  onlyOnDocker('build cache')(
    `records of every type free the planned and reported bytes, with ${title}`,
    async () => {
      await fillEveryType()
      await sleep(wait)
      const figures = await measure({ ...cacheOnly, ...inputs })
      expectInRange(figures)
      expect(figures.planned).toBeGreaterThan(11_900_000)
    }
  )

onlyOnDocker('build cache')(
  'the size of a base image record is an estimate after its image is removed: it frees at least its own bytes',
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

// Builds leave untagged parent images there, which are subject to the rules for images.
if (podman)
  test('Podman has no build cache to remove', async () => {
    await build('FROM busybox:1\nRUN echo >/built\n', { tag: 'built:1' })
    const before = await contents()
    const done = await step({ ...cacheOnly, until: '0s' })
    expect(done.exitCode).toBe(0)
    expect(resource(done, 'build-cache')).toMatchObject({
      outcome: 'kept',
      detail: 'no build cache'
    })
    expect(await contents()).toEqual(before)
  })

onlyOnDocker('build cache')(
  'build cache is removed even if buildx is required but missing, or broken',
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
