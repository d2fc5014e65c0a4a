import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import {
  everything,
  momentBetween,
  oldImage,
  parentOf
} from '../harness/things.ts'

const { docker, load, build, create, step, contents } = useEngine()

/** Builds of a repository on a shared base, a minute apart; tag 1 is the oldest. */
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

test('keep-last keeps the newest images per repository, not tags; an image kept by another repository is untagged', async () => {
  await load(
    ['acme/api', 'acme/web', 'tools'].flatMap((name) => builds(name, 4))
  )
  await docker('tag', 'tools:4', 'tools:latest')
  await docker('tag', 'tools:4', 'tools:stable')
  // The newest of one repository and the oldest of another.
  await docker('tag', 'acme/web:1', 'base/web:1')
  const inputs = { ...everything, 'keep-last': '2' }
  const untagged = {
    action: 'untag',
    bytes: 0,
    removedReferences: ['acme/web:1']
  }

  const plan = await step({ ...inputs, 'dry-run': 'true' })
  expect(resource(plan, 'base/web:1')).toMatchObject({
    ...untagged,
    outcome: 'planned'
  })
  const done = await step(inputs)

  expect(done.exitCode).toBe(0)
  expect((await contents()).references).toEqual([
    ...['acme/api:3', 'acme/api:4', 'acme/web:3', 'acme/web:4', 'base/web:1'],
    ...['busybox:1', 'tools:3', 'tools:4', 'tools:latest', 'tools:stable']
  ])
  expect(resource(done, 'base/web:1')).toMatchObject({
    ...untagged,
    outcome: 'untagged'
  })
  expect(resource(done, 'tools:stable')).toMatchObject({
    action: 'keep',
    reason: 'keep-last'
  })
  expect(done.outputs).toMatchObject({
    'untagged-references': '1',
    'removed-images': '5',
    'reclaimed-bytes': plan.outputs['planned-bytes']
  })
  // One layer per removed image; the base layer is kept.
  const bytes = Number(done.outputs['reclaimed-bytes'])
  expect(bytes).toBeGreaterThanOrEqual(50_000)
  expect(bytes).toBeLessThan(200_000)
})

test('an image is kept with all its tags for a container in any state, a protected reference, or a child', async () => {
  const states = ['running', 'paused', 'created', 'exited']
  const used = [...states, 'leaving']
  await load(builds('node', 3))
  await Promise.all([
    ...used.map((name) =>
      build(`FROM busybox:1\nLABEL state=${name}\n`, { tag: `${name}:1` })
    ),
    build('FROM busybox:1\nLABEL step=1\nLABEL step=2\n', { tag: 'stays:1' }),
    build('FROM busybox:1\nLABEL other=1\nLABEL other=2\n', { tag: 'goes:1' }),
    build('FROM busybox:1\nLABEL pinned=yes\nLABEL pinned=\n', {
      tag: 'child:1'
    })
  ])
  await docker('tag', 'node:2', 'mirror/base:x')
  for (const name of used) {
    await docker('tag', `${name}:1`, `other/${name}:2`)
    const label = name === 'leaving' ? 'free' : 'keep'
    const command = ['exited', 'leaving'].includes(name)
      ? ['true']
      : ['sleep', '600']
    await create(name, '--label', label, `${name}:1`, ...command)
  }
  await docker('start', 'running', 'paused', 'exited')
  await docker('pause', 'paused')
  await docker('wait', 'exited')
  const keptParent = await parentOf(docker, 'stays:1')
  const removedParent = await parentOf(docker, 'goes:1')
  const protectedParent = await parentOf(docker, 'child:1')

  const done = await step({
    ...everything,
    'protected-images': 'mirror/**, stays',
    'protected-labels': 'keep, pinned=yes'
  })

  expect(done.exitCode).toBe(0)
  const left = await contents()
  expect(left.containers).toEqual([...states].sort())
  expect(left.references).toEqual(
    [
      ...states.flatMap((name) => [`${name}:1`, `other/${name}:2`]),
      ...['busybox:1', 'mirror/base:x', 'node:2', 'stays:1']
    ].sort()
  )
  const inUse = { action: 'keep', reason: 'in-use' }
  for (const name of states)
    expect(resource(done, `${name}:1`)).toMatchObject(inUse)
  expect(resource(done, 'leaving:1')).toMatchObject({ outcome: 'removed' })
  expect(resource(done, 'node:2')).toMatchObject({ reason: 'protected-image' })

  // Parents of the classic builder are kept with kept images, and removed after their children otherwise.
  expect(resource(done, keptParent)).toMatchObject(inUse)
  expect(resource(done, 'busybox:1')).toMatchObject(inUse)
  expect(resource(done, protectedParent)).toMatchObject({
    action: 'keep',
    reason: 'protected-label'
  })
  expect(resource(done, removedParent)).toMatchObject({
    outcome: 'removed',
    reason: 'dangling'
  })
  expect(left.images).toEqual(
    expect.arrayContaining([keptParent, protectedParent])
  )
  expect(left.images).not.toContain(removedParent)
})

test('a dangling image is removed once it is older than until', async () => {
  const dockerfile = (name: string) =>
    `FROM scratch\nCOPY Dockerfile /\n# ${name}\n`
  const old = await build(dockerfile('build 1'), { tag: 'app:1' })
  await build(dockerfile('build 2'), { tag: 'app:1' })
  const before = await momentBetween()
  const young = await build(dockerfile('build 3'))

  const done = await step({
    'keep-last': '0',
    until: before,
    'include-images': 'dangling'
  })

  expect(resource(done, old)).toMatchObject({
    outcome: 'removed',
    reason: 'dangling'
  })
  // Only newer engines log builds without a tag.
  expect(resource(done, young)).toMatchObject({
    action: 'keep',
    reason: expect.stringMatching(/^(?:recent|unknown-age)$/)
  })
  expect((await contents()).references).toEqual(['app:1', 'busybox:1'])
})

test('an image dated in the future does not count for keep-last and is not kept otherwise', async () => {
  const dates = { ahead: '2099-01-01', new: '2026-05-01', old: '2024-05-01' }
  await load(
    Object.entries(dates).map(([tag, date]) => ({
      ...oldImage(tag),
      references: [`app:${tag}`],
      created: `${date}T12:00:00Z`
    }))
  )

  const one = await step({ ...everything, 'keep-last': '1' })
  expect(resource(one, 'app:new').reason).toBe('keep-last')
  expect(resource(one, 'app:old').outcome).toBe('removed')
  const none = await step({ ...everything, 'keep-last': '0' })
  expect(none.exitCode).toBe(0)
  expect((await contents()).references).toEqual(['busybox:1'])
})
