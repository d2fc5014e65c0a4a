import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { startRegistry, type Registry } from '../../scripts/registry.ts'
import { resource, useEngine } from './harness.ts'

const { docker, engine, load, step } = useEngine()
let registry: Registry

beforeAll(async () => {
  registry = await startRegistry(engine())
})
afterAll(async () => {
  await registry.stop()
})

/** Pushes builds of `app`, a day apart, takes them off the engine and pulls them by digest. Returns the references. */
async function pullByDigest(days: readonly number[]): Promise<string[]> {
  const repository = `${registry.address}/app`
  await load(
    days.map((day) => ({
      references: [`${repository}:${day}`],
      created: `2024-05-0${day}T12:00:00Z`,
      layers: [{ name: `app-${day}`, bytes: 1_000 }]
    }))
  )
  const references: string[] = []
  for (const day of days) {
    const pushed = await docker('push', `${repository}:${day}`)
    const [digest = ''] =
      /sha256:[0-9a-f]{64}/.exec(pushed.split('\n').at(-1) ?? '') ?? []
    await docker('image', 'rm', `${repository}:${day}`)
    await docker('pull', `${repository}@${digest}`)
    references.push(`${repository}@${digest}`)
  }
  return references
}

test('an image that is pinned by its digest counts in its repository, and is not dangling', async () => {
  const [oldest = '', middle = '', newest = ''] = await pullByDigest([1, 2, 3])

  const dangling = await step({
    'keep-last': '0',
    until: '0s',
    'include-images': 'dangling'
  })
  for (const pinned of [oldest, middle, newest])
    expect(resource(dangling, pinned)).toMatchObject({
      action: 'keep',
      reason: 'not-included'
    })

  const done = await step({ 'keep-last': '2', until: '0s' })

  expect(resource(done, oldest)).toMatchObject({
    outcome: 'removed',
    reason: 'expired'
  })
  for (const pinned of [middle, newest])
    expect(resource(done, pinned)).toMatchObject({
      action: 'keep',
      reason: 'keep-last'
    })
  await docker('image', 'inspect', middle, newest)
  await expect(docker('image', 'inspect', oldest)).rejects.toThrow()
})

test('a glob without a tag, or with any tag, protects what is pinned by its digest', async () => {
  const [pinned = ''] = await pullByDigest([4])
  for (const glob of [`${registry.address}/*`, `${registry.address}/app:*`]) {
    const done = await step({
      'keep-last': '0',
      until: '0s',
      'protected-images': glob
    })
    expect(resource(done, pinned)).toMatchObject({
      action: 'keep',
      reason: 'protected-image'
    })
  }
})

test('an image with tags in several repositories and digests of them goes whole', async () => {
  const [pinned = ''] = await pullByDigest([6])
  await docker('tag', pinned, 'first:1')
  await docker('tag', pinned, 'first:2')
  await docker('tag', pinned, 'second:1')

  const done = await step({ 'keep-last': '0', until: '0s' })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'second:1')).toMatchObject({ outcome: 'removed' })
  expect(await docker('image', 'ls', '--all', '--quiet')).toBe('')
})

test('a glob with the digest protects an image that also has a tag', async () => {
  const [pinned = ''] = await pullByDigest([7])
  await docker('tag', pinned, 'local:1')
  const done = await step({
    'keep-last': '0',
    until: '0s',
    'protected-images': pinned
  })
  expect(resource(done, 'local:1')).toMatchObject({
    action: 'keep',
    reason: 'protected-image'
  })
})

test('an image that is pulled again to the same ID after the listing stays: the events tell', async () => {
  const [pinned = ''] = await pullByDigest([8])
  const [other = ''] = await pullByDigest([9])
  const folder = await mkdtemp(join(tmpdir(), 'pull-'))
  try {
    // Before the second listing of the containers, which is the one right before the first batch.
    const command = join(folder, 'docker')
    const real = engine().docker
    await writeFile(
      command,
      `#!/bin/sh
if [ "$1 $2" = "container ls" ]; then
  echo >>${folder}/calls
  [ "$(wc -l <${folder}/calls)" = 2 ] && ${real} pull --quiet ${pinned} >/dev/null && sleep 0.5
fi
exec ${real} "$@"
`,
      { mode: 0o755 }
    )

    const done = await step({
      'keep-last': '0',
      until: '0s',
      docker: command
    })

    expect(done.exitCode).toBe(0)
    expect(resource(done, pinned)).toMatchObject({
      outcome: 'kept',
      reason: 'changed'
    })
    expect(resource(done, other).outcome).toBe('removed')
    await docker('image', 'inspect', pinned)
  } finally {
    await rm(folder, { recursive: true })
  }
})
