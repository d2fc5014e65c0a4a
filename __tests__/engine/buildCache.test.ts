import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect } from '@jest/globals'
import { createCli } from '../../scripts/fixtures.ts'
import {
  dockerWith,
  findOtherClis,
  makeDockerConfig,
  onlyOnDocker,
  resource,
  useEngine,
  type OtherClis
} from './harness.ts'

const { docker, engine, build, step } = useEngine()
// Podman has no build cache.
const test = onlyOnDocker('build cache')
const cacheOnly = {
  'include-containers': 'false',
  'include-images': 'false',
  'include-networks': 'false'
}
let folder: string
let clis: OtherClis

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'config-'))
  clis = await findOtherClis()
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

/** Builds without a tag and drops the image: what it takes is the cache's alone. Returns when the clock has moved on. */
async function fillCache(name: string, megabytes: number): Promise<void> {
  const image = await build(
    `FROM busybox:1\nRUN dd if=/dev/urandom of=/${name} bs=1000000 count=${megabytes}\n`,
    { buildKit: true }
  )
  await docker('image', 'rm', image)
  await sleep(1_100)
}

type Usage = { BuildCache: { Description: string; Size: string }[] }

/** The names of the layers that the cache holds. */
async function cached(): Promise<string[]> {
  const usage = JSON.parse(
    await docker('system', 'df', '--verbose', '--format', '{{json .}}')
  ) as Usage
  return usage.BuildCache.flatMap(
    ({ Description }) => /of=\/(\w+)/.exec(Description)?.[1] ?? []
  ).sort()
}

/** The CLIs that people have, and their surroundings. */
async function environments(): Promise<Record<string, Record<string, string>>> {
  const path = process.env['PATH'] ?? ''
  const own = `${dirname(engine().docker)}:${path}`
  return {
    'the engine’s own CLI': { PATH: own },
    'an old CLI': { PATH: `${dirname(clis.old)}:${path}` },
    'a new CLI with buildx': {
      PATH: `${dirname(clis.new)}:${path}`,
      DOCKER_CONFIG: await makeDockerConfig(join(folder, 'buildx'), {
        plugin: clis.buildx
      }),
      BUILDX_BUILDER: 'somebody-elses'
    },
    'a new CLI with buildx in the place of builder': {
      PATH: `${dirname(clis.new)}:${path}`,
      DOCKER_CONFIG: await makeDockerConfig(join(folder, 'alias'), {
        plugin: clis.buildx,
        config: { aliases: { builder: 'buildx' } }
      }),
      BUILDX_BUILDER: 'somebody-elses'
    },
    'a new CLI without buildx': {
      PATH: `${dirname(clis.new)}:${path}`,
      DOCKER_CONFIG: await makeDockerConfig(join(folder, 'plain'), {})
    }
  }
}

test('build cache goes once it has been idle for until, with every CLI', async () => {
  for (const [name, env] of Object.entries(await environments())) {
    await fillCache('layer', 2)
    const early = await step({ ...cacheOnly, until: '1h' }, env)
    expect([name, resource(early, 'build-cache').outcome]).toEqual([
      name,
      'kept'
    ])
    expect(await cached()).toEqual(['layer'])

    const plan = await step(
      { ...cacheOnly, until: '0s', 'dry-run': 'true' },
      env
    )
    expect(resource(plan, 'build-cache').outcome).toBe('planned')
    expect(await cached()).toEqual(['layer'])

    const late = await step({ ...cacheOnly, until: '0s' }, env)
    expect([name, resource(late, 'build-cache').outcome]).toEqual([
      name,
      'removed'
    ])
    expect(await cached()).toEqual([])
    expect(Number(late.outputs['reclaimed-bytes'])).toBeGreaterThan(1_900_000)
    expect(Number(plan.outputs['planned-bytes'])).toBeGreaterThan(1_900_000)
  }
})

test('build-cache-keep keeps the most recently used records, with every CLI', async () => {
  for (const [name, env] of Object.entries(await environments())) {
    await docker('builder', 'prune', '--all', '--force')
    // On the containerd store a record takes twice its size.
    await fillCache('old', 10)
    await fillCache('new', 2)
    const done = await step(
      { ...cacheOnly, until: '0s', 'build-cache-keep': '6MB' },
      env
    )
    expect([name, done.exitCode, await cached()]).toEqual([name, 0, ['new']])
    const again = await step(
      { ...cacheOnly, until: '0s', 'build-cache-keep': '6MB' },
      env
    )
    expect([name, again.outputs['skipped'], await cached()]).toEqual([
      name,
      'true',
      ['new']
    ])
  }
})

test('filters in config.json that contradict until are a warning, and the rest goes on', async () => {
  await fillCache('layer', 1)
  await docker('network', 'create', 'unused')
  const config = { pruneFilters: ['until=48h'] }

  const done = await step(
    { 'keep-last': '0', until: '0s', 'protected-images': 'busybox' },
    {
      DOCKER_CONFIG: await makeDockerConfig(join(folder, 'filters'), { config })
    }
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

test('a builder that has the name of the context is not asked for the cache of the engine', async () => {
  await fillCache('layer', 1)
  await docker('network', 'create', 'unused')
  const env = {
    PATH: `${dirname(clis.new)}:${process.env['PATH'] ?? ''}`,
    DOCKER_CONFIG: await makeDockerConfig(join(folder, 'named'), {
      plugin: clis.buildx
    })
  }
  const cli = createCli({ ...engine(), docker: clis.new }, env)
  await cli('buildx', 'create', '--name', 'ci', '--driver', 'docker-container')
  await cli('context', 'create', 'ci', '--docker', `host=${engine().host}`)

  const done = await step(
    { 'keep-last': '0', until: '0s', 'protected-images': 'busybox' },
    { ...env, DOCKER_HOST: '', DOCKER_CONTEXT: 'ci' }
  )

  expect(done.exitCode).toBe(0)
  expect(done.stdout).toMatch(/^::warning::The build cache .*builder ci/m)
  expect(resource(done, 'build-cache').outcome).toBe('kept')
  expect(resource(done, 'unused').outcome).toBe('removed')
  expect(await cached()).toEqual(['layer'])
})

test('build cache that is not included stays', async () => {
  await fillCache('layer', 1)
  const done = await step({
    until: '0s',
    'include-build-cache': 'false',
    'protected-images': 'busybox'
  })
  expect(resource(done, 'build-cache')).toMatchObject({
    action: 'keep',
    reason: 'not-included'
  })
  expect(await cached()).toEqual(['layer'])
})

onlyOnDocker('build cache')(
  'a run that is cancelled while it asks what the cache keeps says what it removed',
  async () => {
    await build('FROM busybox:1\nRUN echo >/built\n', {
      tag: 'built:1',
      buildKit: true
    })
    const command = await dockerWith(
      engine(),
      folder,
      'case "$1 $2" in "buildx du") [ "$(count du)" = 2 ] && { kill -INT $PPID; sleep 20; } ;; esac'
    )
    const done = await step({
      'keep-last': '0',
      until: '0s',
      'protected-images': 'busybox',
      docker: command
    })
    expect(done.exitCode).toBe(1)
    expect(done.outputs['removed-images']).toBe('1')
    expect(done.summary).toContain('The run was cancelled')
  }
)
