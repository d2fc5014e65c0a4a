import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { everything, momentBetween, oldImage } from '../harness/things.ts'

const { docker, load, run, create, step } = useEngine()

test('an image that a container used outlives a younger one; a container counts from its end, not from its start', async () => {
  await load([
    { ...oldImage('used'), created: '2023-05-01T12:00:00Z' },
    oldImage('unused')
  ])
  await run('early', 'busybox:1', 'true')
  await run('late', 'busybox:1', 'sleep', '600')
  await docker('wait', 'early')
  const before = await momentBetween()
  await create('short', 'used:1', 'true')
  await docker('rm', 'short')
  await docker('kill', 'late')
  await docker('wait', 'late')

  const done = await step({ ...everything, until: before })

  const recent = { action: 'keep', reason: 'recent' }
  const removed = { outcome: 'removed' }
  expect(resource(done, 'used:1')).toMatchObject(recent)
  expect(resource(done, 'used:1').detail).toMatch(/^last used by a container/)
  expect(resource(done, 'unused:1')).toMatchObject(removed)
  expect(resource(done, 'late')).toMatchObject(recent)
  expect(resource(done, 'early')).toMatchObject(removed)
})
