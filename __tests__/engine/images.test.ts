import { expect, test } from '@jest/globals'
import { parentOf, podman, resource, useEngine } from './harness.ts'

const { docker, load, build, step, contents } = useEngine()

/** N builds of a repository, a minute apart, on a common base: `app:1` is the oldest. */
function builds(repository: string, number: number) {
  return Array.from({ length: number }, (_, index) => ({
    references: [`${repository}:${index + 1}`],
    created: `2024-05-01T12:0${index}:00Z`,
    layers: [
      { name: 'base', bytes: 200_000 },
      { name: `${repository}-${index}`, bytes: 10_000 + index }
    ]
  }))
}

test('keep-last keeps the newest images of each repository, and counts images, not tags', async () => {
  await load(
    ['acme/api', 'acme/web', 'tools'].flatMap((name) => builds(name, 6))
  )
  await docker('tag', 'tools:6', 'tools:latest')
  await docker('tag', 'tools:6', 'tools:stable')

  const done = await step({
    'keep-last': '2',
    until: '0s',
    'protected-images': 'busybox'
  })

  expect(done.exitCode).toBe(0)
  expect((await contents()).references).toEqual([
    'acme/api:5',
    'acme/api:6',
    'acme/web:5',
    'acme/web:6',
    'busybox:1',
    'tools:5',
    'tools:6',
    'tools:latest',
    'tools:stable'
  ])
  expect(done.outputs['removed-images']).toBe('12')
  expect(resource(done, 'tools:stable')).toMatchObject({
    action: 'keep',
    reason: 'keep-last'
  })
})

test('an image stays with all its tags for a container that stays, in whatever state', async () => {
  const states = ['running', 'paused', 'created', 'exited']
  for (const name of [...states, 'leaving']) {
    await build(
      `FROM scratch\nCOPY --from=busybox:1 / /\nLABEL state=${name}\n`,
      { tag: `${name}:1` }
    )
    await docker('tag', `${name}:1`, `other/${name}:2`)
    const label = name === 'leaving' ? 'free' : 'keep'
    const command = ['exited', 'leaving'].includes(name) ? 'true' : 'sleep 600'
    await docker(
      'create',
      '--network',
      'none',
      '--name',
      name,
      '--label',
      label,
      `${name}:1`,
      'sh',
      '-c',
      command
    )
  }
  await docker('start', 'running', 'paused', 'exited')
  await docker('pause', 'paused')
  await docker('wait', 'exited')

  const done = await step({
    'keep-last': '0',
    until: '0s',
    'include-build-cache': 'false'
  })

  const left = await contents()
  expect(left.containers).toEqual([...states].sort())
  for (const name of states) {
    expect(left.references).toEqual(
      expect.arrayContaining([`${name}:1`, `other/${name}:2`])
    )
    expect(resource(done, `${name}:1`)).toMatchObject({
      action: 'keep',
      reason: 'in-use'
    })
  }
  expect(left.references).not.toContain('leaving:1')
  expect(resource(done, 'leaving:1')).toMatchObject({ outcome: 'removed' })
  await docker('unpause', 'paused')
})

test('one protected reference protects the other tags of its image, and no more', async () => {
  await load(builds('node', 3))
  await docker('tag', 'node:2', 'mirror/base:x')

  const done = await step({
    'keep-last': '0',
    until: '0s',
    'protected-images': 'mirror/**'
  })

  expect((await contents()).references).toEqual(['mirror/base:x', 'node:2'])
  expect(resource(done, 'node:2')).toMatchObject({ reason: 'protected-image' })
})

test('an expired reference is untagged where another repository keeps the image, and no bytes are claimed', async () => {
  await load([...builds('acme/web', 3), ...builds('acme/api', 3)])
  // The newest of its own repository, and the oldest of another one.
  await docker('tag', 'acme/web:1', 'base/web:1')

  const inputs = {
    'keep-last': '1',
    until: '0s',
    'protected-images': 'busybox',
    'include-build-cache': 'false'
  }
  const plan = await step({ ...inputs, 'dry-run': 'true' })
  expect(resource(plan, 'base/web:1')).toMatchObject({
    action: 'untag',
    outcome: 'planned',
    bytes: 0,
    removedReferences: ['acme/web:1']
  })
  const done = await step(inputs)

  expect((await contents()).references).toEqual([
    'acme/api:3',
    'acme/web:3',
    'base/web:1',
    'busybox:1'
  ])
  expect(resource(done, 'base/web:1')).toMatchObject({
    action: 'untag',
    outcome: 'untagged',
    bytes: 0,
    removedReferences: ['acme/web:1']
  })
  expect(done.outputs).toMatchObject({
    'untagged-references': '1',
    'removed-images': '3'
  })
  // api:1, api:2 and web:2; the base stays.
  expect(Number(done.outputs['reclaimed-bytes'])).toBeGreaterThanOrEqual(30_000)
  expect(done.outputs['reclaimed-bytes']).toBe(plan.outputs['planned-bytes'])
})

test('a dangling image goes once it is older than until, and not before', async () => {
  const first = await build('FROM scratch\nCOPY Dockerfile /\n# build 1\n', {
    tag: 'app:1'
  })
  await build('FROM scratch\nCOPY Dockerfile /\n# build 2\n', {
    tag: 'app:1'
  })
  const inputs = { 'keep-last': '0', 'include-images': 'dangling' }

  const early = await step({ ...inputs, until: '1h' })
  expect(resource(early, first)).toMatchObject({
    action: 'keep',
    reason: 'recent'
  })
  const late = await step({ ...inputs, until: '1ms' })

  expect(resource(late, first)).toMatchObject({
    outcome: 'removed',
    reason: 'dangling'
  })
  expect((await contents()).references).toEqual(['app:1', 'busybox:1'])
})

test('parents of the classic builder stay with what stays, and go after their children otherwise', async () => {
  await build('FROM busybox:1\nLABEL step=1\nLABEL step=2\n', {
    tag: 'stays:1'
  })
  await build('FROM busybox:1\nLABEL other=1\nLABEL other=2\n', {
    tag: 'goes:1'
  })
  await build('FROM busybox:1\nLABEL pinned=yes\nLABEL pinned=\n', {
    tag: 'child:1'
  })
  const ofStaying = await parentOf(docker, 'stays:1')
  const ofGoing = await parentOf(docker, 'goes:1')
  const pinned = await parentOf(docker, 'child:1')

  const done = await step({
    'keep-last': '0',
    until: '0s',
    'protected-images': 'stays',
    'protected-labels': 'pinned=yes'
  })

  expect(done.exitCode).toBe(0)
  expect(resource(done, ofStaying)).toMatchObject({
    action: 'keep',
    reason: 'in-use'
  })
  expect(resource(done, 'busybox:1')).toMatchObject({
    action: 'keep',
    reason: 'in-use'
  })
  expect(resource(done, pinned)).toMatchObject({
    action: 'keep',
    reason: 'protected-label'
  })
  expect(resource(done, ofGoing)).toMatchObject({
    outcome: 'removed',
    reason: 'dangling'
  })
  const left = await contents()
  expect(left.images).toEqual(expect.arrayContaining([ofStaying, pinned]))
  expect(left.images).not.toContain(ofGoing)
  // Podman 4 would take the protected parent along with its child.
  const child = podman && done.report?.engine.version.startsWith('4')
  expect(left.references).toEqual([
    'busybox:1',
    ...(child ? ['child:1'] : []),
    'stays:1'
  ])
})
