import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startRegistry, type Registry } from '../../scripts/registry.ts'
import {
  fillers,
  oldImage,
  onlyOnDocker,
  podman,
  resource,
  useEngine
} from './harness.ts'

const { docker, engine, load, build, step, contents } = useEngine()
// Podman has no log that forgets soon.
const it = onlyOnDocker('log that forgets soon')
/** What happened before that moment is older, and what happens from a while later on is younger than this. */
const since = (moment: number) => `${Date.now() - moment}ms`
const everything = {
  'keep-last': '0',
  'protected-images': 'busybox',
  'include-build-cache': 'false'
}
let registry: Registry

beforeAll(async () => {
  registry = await startRegistry(engine())
})
afterAll(async () => {
  await registry.stop()
})

/** Dates that images really have: of reproducible builds, an old one, and none. */
const dates = {
  epoch: '1970-01-01T00:00:00Z',
  dos: '1980-01-01T00:00:00Z',
  old: '2024-05-01T12:00:00Z',
  none: ''
}

function images(prefix: string) {
  return Object.entries(dates).map(([name, created]) => ({
    references: [`${prefix}${name}:1`],
    created,
    layers: [{ name, bytes: 1_000 }]
  }))
}

test('images of any date stay that were just loaded; Docker’s own prune goes by that date', async () => {
  await load(images(''))

  const done = await step({ ...everything, until: '24h' })

  const loaded = Object.keys(dates)
    .map((name) => `${name}:1`)
    .sort()
  expect((await contents()).references).toEqual(['busybox:1', ...loaded].sort())
  // Podman 4 does not say what it loaded, and does not understand Docker's prune either.
  const silent = podman && done.report?.engine.version.startsWith('4')
  for (const name of loaded)
    expect(resource(done, name)).toMatchObject({
      reason: silent ? 'unknown-age' : 'recent'
    })
  if (silent) return
  expect(resource(done, 'epoch:1').detail).toMatch(
    /^(?:loaded|tagged) \d s ago$/
  )

  await docker('image', 'prune', '--all', '--force', '--filter', 'until=24h')
  const { references } = await contents()
  // What has no date at all, newer engines leave alone.
  const dated = loaded.filter((one) => one !== 'none:1')
  const kept = done.report?.engine.store === 'containerd' ? dated : []
  expect(references.filter((one) => dated.includes(one))).toEqual(kept)
})

test('images of any date stay that were just pulled, by tag or by digest', async () => {
  const prefix = `${registry.address}/`
  await load(images(prefix))
  const pulled: string[] = []
  for (const name of Object.keys(dates)) {
    const reference = `${prefix}${name}:1`
    const pushed = await docker('push', reference)
    const [digest = ''] =
      /sha256:[0-9a-f]{64}/.exec(pushed.split('\n').at(-1) ?? '') ?? []
    await docker('image', 'rm', reference)
    pulled.push(
      name === 'epoch' || name === 'old'
        ? reference
        : `${prefix}${name}@${digest}`
    )
  }
  await sleep(1_500)
  for (const reference of pulled) await docker('pull', reference)

  const done = await step({ ...everything, until: '24h' })

  for (const reference of pulled)
    expect(resource(done, reference)).toMatchObject({
      action: 'keep',
      reason: 'recent'
    })
})

it('a pull of all tags is one of each of them', async () => {
  const repository = `${registry.address}/all`
  const tags = ['1', '2', '3'].map((tag) => `${repository}:${tag}`)
  await load(
    tags.map((reference, index) => ({
      ...oldImage(`all-${index}`),
      references: [reference]
    }))
  )
  for (const tag of tags) await docker('push', tag)
  await docker('image', 'rm', ...tags)
  const before = Date.now()
  await sleep(10_000)
  await docker('pull', '--all-tags', repository)

  const done = await step({ ...everything, until: since(before) })

  for (const tag of tags)
    expect(resource(done, tag)).toMatchObject({
      action: 'keep',
      reason: 'recent'
    })
})

it('an untagged image that a build comes to again was built a moment ago', async () => {
  const again = () =>
    build('FROM busybox:1\nLABEL again=1\n', { buildKit: true })
  const id = await again()
  const before = Date.now()
  await sleep(10_000)
  const later = await again()

  const done = await step({ ...everything, until: since(before) })

  const { store, version } = done.report?.engine ?? {}
  // The containerd store has an image of its own for each build, with what attests it.
  if (store !== 'containerd') expect(later).toBe(id)
  // Docker 20.10 and 26.1 do not tell.
  const silent = Number.parseInt(version ?? '') < 28
  expect(resource(done, later).reason).toBe(silent ? 'dangling' : 'recent')
})

it('what was pulled before the event log began is of unknown age, and said to be', async () => {
  const reference = `${registry.address}/app:1`
  await load([{ ...oldImage('app'), references: [reference] }])
  await docker('push', reference)
  await docker('image', 'rm', reference)
  await docker('pull', reference)
  await load(fillers())
  await sleep(1_500)
  const dryRun = { ...everything, 'dry-run': 'true' }

  const early = await step({ ...dryRun, until: '1h' })
  // The containerd store knows when it was pulled.
  const reason =
    early.report?.engine.store === 'containerd' ? 'recent' : 'unknown-age'
  expect(resource(early, reference)).toMatchObject({ action: 'keep', reason })

  for (const inputs of [
    { until: '1s' },
    { until: '0s' },
    { until: '1h', 'age-from': 'created' }
  ])
    expect(
      resource(await step({ ...dryRun, ...inputs }), reference)
    ).toMatchObject({ outcome: 'planned' })
  await docker('image', 'prune', '--all', '--force')
})

it('what was pulled before the event log began is known from an earlier run on', async () => {
  const reference = `${registry.address}/known:1`
  await load([{ ...oldImage('known'), references: [reference] }])
  await docker('push', reference)
  await docker('image', 'rm', reference)
  await docker('pull', reference)
  await load(fillers())
  const state = await mkdtemp(join(tmpdir(), 'state-'))
  try {
    const dryRun = { ...everything, 'dry-run': 'true' }
    await step({ ...dryRun, 'state-dir': state })
    const seen = Date.now()
    await sleep(3_000)
    await load(fillers('again'))
    // Longer than the log goes back, shorter than the ledger, at the start of either run.
    const until = () => `${Date.now() - seen - 500}ms`

    const known = await step({
      ...dryRun,
      until: until(),
      'state-dir': state
    })
    const unknown = await step({
      ...dryRun,
      until: until(),
      'state-dir': ''
    })

    expect(resource(known, reference)).toMatchObject({ outcome: 'planned' })
    if (known.report?.engine.store !== 'containerd') {
      expect(resource(known, reference).detail).toMatch(/^first seen/)
      expect(resource(unknown, reference)).toMatchObject({
        action: 'keep',
        reason: 'unknown-age'
      })
    }
  } finally {
    await rm(state, { recursive: true })
    await docker('image', 'prune', '--all', '--force')
  }
})

test('an image that a container used outlives a younger one that nothing used', async () => {
  const old = (name: string, created: string) => ({
    references: [`${name}:1`],
    created,
    layers: [{ name, bytes: 1_000 }]
  })
  await load([
    old('used', '2023-05-01T12:00:00Z'),
    old('unused', '2024-05-01T12:00:00Z')
  ])
  // Podman 4 does not say what it loaded.
  if (podman) await docker('tag', 'unused:1', 'unused:2')
  const before = Date.now()
  await sleep(10_000)
  await docker(
    'create',
    '--network',
    'none',
    '--name',
    'short',
    'used:1',
    'true'
  )
  await docker('container', 'rm', 'short')

  const done = await step({ ...everything, until: since(before) })

  expect(resource(done, 'used:1')).toMatchObject({
    action: 'keep',
    reason: 'recent'
  })
  expect(resource(done, 'used:1').detail).toMatch(/^last used by a container/)
  expect(resource(done, 'unused:1')).toMatchObject({ outcome: 'removed' })
})

test('a container that ran long and stopped a moment ago stays, one that stopped before until goes', async () => {
  const run = (name: string, seconds: number) =>
    docker(
      'run',
      '--detach',
      '--network',
      'none',
      '--name',
      name,
      'busybox:1',
      'sleep',
      String(seconds)
    )
  await run('early', 0)
  await docker('wait', 'early')
  const before = Date.now()
  await run('late', 12)
  await docker('wait', 'late')

  const done = await step({ ...everything, until: since(before) })

  expect(resource(done, 'late')).toMatchObject({
    action: 'keep',
    reason: 'recent'
  })
  expect(resource(done, 'early')).toMatchObject({ outcome: 'removed' })
})
