import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, test } from '@jest/globals'
import { createCli } from '../../../scripts/fixtures/fixtures.ts'
import { cacheOnly, createCache, nextSecond } from '../harness/cache.ts'
import {
  findOtherClis,
  makeDockerConfig,
  type OtherClis
} from '../harness/clis.ts'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { everything as withoutCache } from '../harness/things.ts'

const tests = useEngine()
const { docker, engine, step, folder } = tests
const { fillCache, cached } = createCache(tests)
const everything = { ...withoutCache, 'include-build-cache': 'true' }
let clis: OtherClis

beforeAll(async () => {
  clis = await findOtherClis()
})

const withCli = async (
  cli: string,
  config: Parameters<typeof makeDockerConfig>[1] = {}
) => ({
  PATH: `${dirname(cli)}:${process.env['PATH'] ?? ''}`,
  DOCKER_CONFIG: await makeDockerConfig(join(folder(), 'config'), config)
})
const foreignBuilder = { BUILDX_BUILDER: 'someone-elses' }

test.each([
  ['an old CLI', () => withCli(clis.old)],
  [
    'a new CLI with buildx',
    async () => ({
      ...(await withCli(clis.new, { plugin: clis.buildx })),
      ...foreignBuilder
    })
  ],
  [
    'a new CLI with builder as an alias of buildx',
    async () => ({
      ...(await withCli(clis.new, {
        plugin: clis.buildx,
        config: { aliases: { builder: 'buildx' } }
      })),
      ...foreignBuilder
    })
  ],
  ['a new CLI without buildx', () => withCli(clis.new)]
])(
  'until and build-cache-keep apply to build cache, with %s',
  async (_, makeEnvironment) => {
    const env = await makeEnvironment()
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
    const first = await step(keep, env)
    expect(first.exitCode).toBe(0)
    expect(Number(first.outputs['reclaimed-bytes'])).toBeGreaterThan(9_900_000)
    expect(await cached()).toEqual(['new'])
    const second = await step(keep, env)
    expect(second.outputs['skipped']).toBe('true')
    expect(await cached()).toEqual(['new'])

    const late = await step({ ...cacheOnly, until: '0s' }, env)
    expect(resource(late, 'build-cache').outcome).toBe('removed')
    expect(Number(late.outputs['reclaimed-bytes'])).toBeGreaterThan(1_900_000)
    expect(await cached()).toEqual([])
  }
)

test('prune filters in config.json that conflict with until cause a warning, and the run continues', async () => {
  await fillCache('layer', 1)
  await docker('network', 'create', 'unused')

  const done = await step(
    everything,
    await withCli(engine().docker, { config: { pruneFilters: ['until=48h'] } })
  )

  expect(done.exitCode).toBe(0)
  expect(done.stdout).toMatch(/^::warning::.*pruneFilters/m)
  expect(done.summary).toContain('pruneFilters')
  expect(resource(done, 'build-cache')).toMatchObject({
    action: 'remove',
    outcome: 'kept'
  })
  expect(resource(done, 'unused').outcome).toBe('removed')
  expect(await cached()).toEqual(['layer'])
})

test('a builder named like the context is not used to prune the engine’s cache', async () => {
  await fillCache('layer', 1)
  await docker('network', 'create', 'unused')
  const env = await withCli(clis.new, { plugin: clis.buildx })
  const cli = createCli({ ...engine(), docker: clis.new }, env)
  await cli('buildx', 'create', '--name', 'ci', '--driver', 'docker-container')
  await cli('context', 'create', 'ci', '--docker', `host=${engine().host}`)

  const done = await step(everything, {
    ...env,
    DOCKER_HOST: '',
    DOCKER_CONTEXT: 'ci'
  })

  expect(done.exitCode).toBe(0)
  expect(done.stdout).toMatch(/^::warning::The build cache .*builder ci/m)
  expect(resource(done, 'build-cache').outcome).toBe('kept')
  expect(resource(done, 'unused').outcome).toBe('removed')
  expect(await cached()).toEqual(['layer'])
})

test('build cache that is not included is kept', async () => {
  await fillCache('layer', 1)
  const done = await step(withoutCache)
  expect(resource(done, 'build-cache')).toMatchObject({
    action: 'keep',
    reason: 'not-included'
  })
  expect(await cached()).toEqual(['layer'])
})
