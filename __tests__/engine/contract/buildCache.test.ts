import { dirname, join } from 'node:path'
import { expect, test } from '@jest/globals'
import { cacheOnly, createCache, nextSecond } from '../harness/cache.ts'
import { findOtherClis, makeDockerConfig } from '../harness/clis.ts'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { onlyOnDocker, podman } from '../harness/target.ts'

const tests = useEngine()
const { step, folder, build, contents } = tests
const { fillCache, cached } = createCache(tests)

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
