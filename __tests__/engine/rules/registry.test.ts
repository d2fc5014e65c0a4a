import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { useRegistry } from '../harness/registry.ts'
import { resource } from '../harness/report.ts'
import { everything, idOf, momentBetween, oldImage } from '../harness/things.ts'

const engine = useEngine()
const { docker, folder, step, contents, overflowLog } = engine
const { publish, pull } = useRegistry(engine)

const unknown = { action: 'keep', reason: 'unknown-age' }
const planned = { outcome: 'planned' }
const isProtected = { action: 'keep', reason: 'protected-image' }

const builds = (repository: string, count: number) =>
  Array.from({ length: count }, (_, day) => ({
    ...oldImage(`${repository}-${day}`),
    references: [`${repository}:${day}`],
    created: `2024-05-0${day + 1}T12:00:00Z`
  }))

test('an image pulled before the event log began is of unknown age, unless an earlier run saw it', async () => {
  const [{ tag } = { tag: '' }] = await publish([oldImage('app')])
  await pull([tag])
  const pulled = await momentBetween()
  await overflowLog()
  const dryRun = { ...everything, 'dry-run': 'true' }
  const remembering = { ...dryRun, 'state-dir': folder() }

  const first = await step({ ...remembering, until: pulled })
  expect(resource(first, tag)).toMatchObject(unknown)

  const seen = await momentBetween()
  const others = await Promise.all(
    [
      { until: seen },
      { until: '0s' },
      { until: '1h', 'age-from': 'created' }
    ].map((inputs) => step({ ...dryRun, ...inputs }))
  )
  for (const other of others)
    expect(resource(other, tag)).toMatchObject(planned)

  await overflowLog()
  const [without, known] = await Promise.all([
    step({ ...dryRun, until: seen }),
    step({ ...remembering, until: seen })
  ])
  expect(resource(without, tag)).toMatchObject(unknown)
  expect(resource(known, tag)).toMatchObject(planned)
  expect(resource(known, tag).detail).toMatch(/first seen \d+ s ago$/)
})

test('an image pulled by digest counts in its repository, and is not dangling', async () => {
  const published = await publish(builds('app', 3))
  const pinned = published.map((one) => one.pinned)
  const [oldest = '', middle = '', newest = ''] = pinned
  await pull(pinned)

  const dangling = await step({ ...everything, 'include-images': 'dangling' })
  for (const one of pinned)
    expect(resource(dangling, one)).toMatchObject({
      action: 'keep',
      reason: 'not-included'
    })

  const done = await step({ ...everything, 'keep-last': '2' })

  expect(resource(done, oldest)).toMatchObject({
    outcome: 'removed',
    reason: 'expired'
  })
  for (const one of [middle, newest])
    expect(resource(done, one)).toMatchObject({
      action: 'keep',
      reason: 'keep-last'
    })
  await docker('image', 'inspect', middle, newest)
  await expect(docker('image', 'inspect', oldest)).rejects.toThrow()
})

test('globs protect images pulled by digest; tags in several repositories and a digest are removed together', async () => {
  const published = await publish(
    ['star/app', 'any', 'tagged', 'several'].map((name) => oldImage(name))
  )
  const [star, any, tagged, several] = published
  await pull(published.map(({ pinned }) => pinned))
  await docker('tag', tagged?.pinned ?? '', 'local:1')
  for (const name of ['first:1', 'first:2', 'second:1'])
    await docker('tag', several?.pinned ?? '', name)
  const globs = [
    star?.tag.replace('app:1', '*'),
    any?.tag.replace(':1', ':*'),
    tagged?.pinned
  ]
  const id = await idOf(docker, 'first:1')

  const done = await step({
    ...everything,
    'protected-images': ['busybox', ...globs].join()
  })

  expect(done.exitCode).toBe(0)
  for (const name of [star?.pinned ?? '', any?.pinned ?? '', 'local:1'])
    expect(resource(done, name)).toMatchObject(isProtected)
  expect(resource(done, 'second:1')).toMatchObject({ outcome: 'removed' })
  const { images } = await contents()
  expect(images).toHaveLength(4)
  expect(images).not.toContain(id)
})
