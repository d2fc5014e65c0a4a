import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import {
  everything,
  expectCleanFailure,
  images,
  outcomes,
  useFaults
} from './faults.ts'
import { oldImage, resource } from './harness.ts'

const { docker, engine, load, step, contents, dockerThat, untilPaused, go } =
  useFaults()

const pauseBeforeSecondBatch = `case "$1 $2" in "image rm") [ "$(count rm)" = 2 ] && pause ;; esac`

test.each([
  ['between two calls', () => engine().signal('KILL').then(go)],
  [
    'during a call',
    async () => {
      await engine().signal('STOP')
      await go()
      await sleep(500)
      await engine().signal('KILL')
    }
  ]
])('an engine that dies %s, and is back for the next run', async (_, die) => {
  await load(images(20))
  const command = await dockerThat(pauseBeforeSecondBatch)
  const running = step({ ...everything, concurrency: '1', docker: command })
  await untilPaused()

  await die()
  const done = await running
  await engine().restart()

  expectCleanFailure(done, /engine failed during the removal/i)
  expect(done.stdout).toMatch(/No Docker engine answers/)
  const { removed = 0, failed = 0, kept = 0 } = outcomes(done)
  // The first batch has 8; of the second nobody knows.
  expect(removed).toBe(8)
  expect(failed).toBeGreaterThan(0)
  expect(removed + failed + kept).toBe(20)
  expect(done.outputs).toMatchObject({
    'removed-images': '8',
    failed: String(failed)
  })
  expect((await contents()).references).toHaveLength(13)
  for (const one of done.report?.resources ?? [])
    if (one.outcome === 'kept' && one.action === 'remove')
      expect(one).toMatchObject({
        reason: 'budget',
        detail: 'not done: the engine failed'
      })

  expect(await step(everything)).toMatchObject({
    exitCode: 0,
    outputs: { 'removed-images': '12' }
  })
  expect((await contents()).references).toEqual(['busybox:1'])
})

test('an engine that is restarted between two calls is as good as another', async () => {
  await load(images(20))
  const command = await dockerThat(pauseBeforeSecondBatch)
  const running = step({ ...everything, concurrency: '1', docker: command })
  await untilPaused()

  await engine().restart()
  await go()
  const done = await running

  expect(done.exitCode).toBe(0)
  expect(done.stdout).toContain('events broke off')
  expect(done.outputs['removed-images']).toBe('20')
  expect((await contents()).references).toEqual(['busybox:1'])
})

test('an engine that stops answering during the listing is given up when the time is up', async () => {
  await load(images(1))
  const command = await dockerThat('case "$1 $2" in "image ls") pause ;; esac')
  const running = step({ ...everything, timeout: '10s', docker: command })
  await untilPaused()

  await engine().signal('STOP')
  await go()
  const done = await running
  await engine().signal('CONT')

  expectCleanFailure(done, /Docker did not answer: ".*" was ended when/)
  expect(done.summary).toContain('Nothing was removed')
  expect((await contents()).references).toEqual(['app-0:1', 'busybox:1'])
})

test('an engine that stops answering during a removal is given up when the time is up', async () => {
  await load(images(20))
  const command = await dockerThat(pauseBeforeSecondBatch)
  const running = step({
    ...everything,
    concurrency: '1',
    // A busy machine comes to the second batch until then as well.
    timeout: '20s',
    docker: command
  })
  await untilPaused()

  await engine().signal('STOP')
  await go()
  const done = await running
  await engine().signal('CONT')

  expectCleanFailure(done, /Docker did not answer: ".* image rm /)
  const { removed = 0, failed = 0, kept = 0 } = outcomes(done)
  expect(removed).toBe(8)
  expect(failed).toBeGreaterThan(0)
  expect(removed + failed + kept).toBe(20)
  const failure = done.report?.resources.find(
    ({ outcome }) => outcome === 'failed'
  )
  expect(failure?.detail).toContain('it may be gone')
  expect((await step(everything)).exitCode).toBe(0)
  expect((await contents()).references).toEqual(['busybox:1'])
})
/** Fills the engine's disk, and again whatever is freed. */
async function fillDisk(): Promise<void> {
  const fill = 'while :; do cat /dev/zero >>/full/file; sleep 0.1; done'
  await docker(
    ...['run', '--detach', '--network', 'none', '--name', 'fill'],
    ...['--volume', 'full:/full', 'busybox:1', 'sh', '-c', fill]
  )
  await sleep(2_000)
  await expectFullDisk()
}

const expectFullDisk = () =>
  expect(load([oldImage('late', 1_000_000)])).rejects.toThrow(/no space|write/)

test('on a full disk removal still works', async () => {
  await load([oldImage('app', 1_000_000), oldImage('other', 1_000_000)])
  await docker('tag', 'app:1', 'mirror:1')
  await docker('network', 'create', 'net')
  await docker('volume', 'create', 'data')
  await docker('create', '--name', 'old', '--network', 'none', 'app:1', 'true')
  await fillDisk()

  const done = await step({ ...everything, 'include-volumes': 'all' })

  await expectFullDisk()
  expect(done).toMatchObject({ exitCode: 0, outputs: { failed: '0' } })
  expect(await contents()).toMatchObject({
    containers: ['fill'],
    references: ['busybox:1'],
    images: [expect.anything()],
    networks: [],
    volumes: ['full']
  })
})

test('on a full disk an image that stays loses its expired tags', async () => {
  await load([oldImage('app')])
  await docker('tag', 'app:1', 'mirror:1')
  await load([
    {
      ...oldImage('mirror', 2_000),
      references: ['mirror:2'],
      created: '2024-06-01T12:00:00Z'
    }
  ])
  await fillDisk()

  const done = await step({ ...everything, 'keep-last': '1' })

  expect(done).toMatchObject({ exitCode: 0 })
  expect(resource(done, 'app:1')).toMatchObject({
    outcome: 'untagged',
    removedReferences: ['mirror:1']
  })
  expect((await contents()).references).toEqual([
    'app:1',
    'busybox:1',
    'mirror:2'
  ])
})
