import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { useOwnEngine } from '../harness/engine.ts'
import { expectCleanFailure, outcomes, resource } from '../harness/report.ts'
import { untilThere } from '../harness/standIn.ts'
import { busySeconds, onlyOnDocker } from '../harness/target.ts'
import { everything, oldImage, oldImages } from '../harness/things.ts'

// Podman records each removal in a database on the same disk.
const it = onlyOnDocker('removal on a full disk')
const tests = useOwnEngine({ dataSize: '96m' })
const { docker, engine, load, run, create, step, contents } = tests
const { dockerThat, untilMarked, untilPaused, go } = tests

const pauseBeforeSecondBatch = `case "$1 $2" in "image rm") [ "$(count rm)" = 2 ] && pause ;; esac`

test.each([
  ['between two calls', () => engine().signal('KILL').then(go)],
  [
    'during a call',
    async () => {
      await engine().signal('STOP')
      await go()
      // There is no sign of when the call waits for an answer.
      await sleep(500)
      await engine().signal('KILL')
    }
  ]
])(
  'an engine that dies %s, and is restarted for the next run',
  async (_, die) => {
    await load(oldImages(20))
    const command = await dockerThat(pauseBeforeSecondBatch)
    const running = step({ ...everything, concurrency: '1', docker: command })
    await untilPaused()

    await die()
    const done = await running
    await engine().restart()

    expectCleanFailure(done, /engine failed during the removal/i)
    expect(done.stdout).toMatch(/Cannot reach a Docker engine/)
    const { removed = 0, failed = 0, kept = 0 } = outcomes(done)
    // The first batch has 8 images; the outcome of the second is unknown.
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
          detail: 'not removed: the engine failed'
        })

    expect(await step(everything)).toMatchObject({
      exitCode: 0,
      outputs: { 'removed-images': '12' }
    })
    expect((await contents()).references).toEqual(['busybox:1'])
  }
)

test('an engine restart between two calls does no harm', async () => {
  await load(oldImages(20))
  const command = await dockerThat(pauseBeforeSecondBatch)
  const running = step({ ...everything, concurrency: '1', docker: command })
  await untilPaused()

  await engine().restart()
  await go()
  const done = await running

  expect(done.exitCode).toBe(0)
  expect(done.stdout).toContain('event stream')
  expect(done.outputs['removed-images']).toBe('20')
  expect((await contents()).references).toEqual(['busybox:1'])
})

test('an engine that stops answering during a listing or a removal is abandoned at the timeout', async () => {
  await load(oldImages(20))
  const command = await dockerThat(`case "$RUN $1 $2" in
    "listing image ls") mark listing; pause ;;
    "removal image rm") [ "$(count rm)" = 2 ] && { mark removal; pause; } ;; esac`)
  const begin = (RUN: string, timeout: string) =>
    step({ ...everything, concurrency: '1', timeout, docker: command }, { RUN })
  const removing = begin('removal', `${busySeconds}s`)
  await untilMarked('removal')
  const listing = begin('listing', '5s')
  await untilMarked('listing')

  await engine().signal('STOP')
  await go()
  const [listed, done] = await Promise.all([listing, removing])
  await engine().signal('CONT')

  expectCleanFailure(listed, /Docker did not answer: ".*" was stopped when/)
  expect(listed.summary).toContain('Nothing was removed')
  expectCleanFailure(done, /Docker did not answer: ".* image rm /)
  const { removed = 0, failed = 0, kept = 0 } = outcomes(done)
  expect(removed).toBe(8)
  expect(failed).toBeGreaterThan(0)
  expect(removed + failed + kept).toBe(20)
  const failure = done.report?.resources.find(
    ({ outcome }) => outcome === 'failed'
  )
  expect(failure?.detail).toContain('it may have been deleted')
  expect((await step(everything)).exitCode).toBe(0)
  expect((await contents()).references).toEqual(['busybox:1'])
})

/** Runs a function while the engine's disk is kept full, even as space is freed. */
async function onFullDisk(body: () => Promise<void>): Promise<void> {
  // The engine's folder is shared with the system that the engine runs in.
  const shared = join(engine().folder, 'shared')
  await mkdir(shared)
  const fill =
    'until [ -e /shared/stop ]; do cat /dev/zero >>/full/file; : >/shared/full; sleep 0.1; done; : >/full/file; : >/shared/over'
  const mounts = ['--volume', 'full:/full', '--volume', `${shared}:/shared`]
  await run('fill', ...mounts, 'busybox:1', 'sh', '-c', fill)
  try {
    await untilThere(join(shared, 'full'))
    await expectFullDisk()
    await body()
  } finally {
    await writeFile(join(shared, 'stop'), '')
    await untilThere(join(shared, 'over'))
    await rm(shared, { recursive: true })
  }
}

const expectFullDisk = () =>
  expect(load([oldImage('late', 1_000_000)])).rejects.toThrow(/no space|write/)

it('removal works on a full disk', async () => {
  await load([oldImage('app', 1_000_000), oldImage('other', 1_000_000)])
  await docker('tag', 'app:1', 'mirror:1')
  await docker('network', 'create', 'net')
  await docker('volume', 'create', 'data')
  await create('old', 'app:1', 'true')

  await onFullDisk(async () => {
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
})

it('a kept image loses its expired tags on a full disk', async () => {
  await load([oldImage('app')])
  await docker('tag', 'app:1', 'mirror:1')
  await load([
    {
      ...oldImage('mirror', 2_000),
      references: ['mirror:2'],
      created: '2024-06-01T12:00:00Z'
    }
  ])

  await onFullDisk(async () => {
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
})
