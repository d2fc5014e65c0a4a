import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { expect, test } from '@jest/globals'
import type { Step } from '../../../scripts/engines/step.ts'
import { useDisk } from '../harness/disk.ts'
import { seeingDiskOf, useEngine } from '../harness/engine.ts'
import { expectCleanFailure, outcomes, resource } from '../harness/report.ts'
import { callsIn, clockMoved, hour, noteCalls } from '../harness/standIn.ts'
import { containerd } from '../harness/target.ts'
import {
  everything,
  imagesOfAnyDate,
  oldImage,
  oldImages,
  polite
} from '../harness/things.ts'

const tests = useEngine()
const { docker, engine, load, build, run, contents } = tests
const { dockerThat, folder } = tests
const { step } = useDisk(tests)

const inputs = { ...everything, 'state-dir': '' }
const closed = { ...inputs, 'when-free-below': '1%' }
const open = { ...inputs, 'when-free-below': '100TB' }
const onlyInfo = [expect.stringMatching(/^info /)]

test('behind a closed gate, nothing is listed, and the answer says how much is free', async () => {
  await load(oldImages(3))
  const before = await contents()

  const docker = await dockerThat(noteCalls)
  const done = await step({ ...closed, docker })

  expect(done.exitCode).toBe(0)
  expect(await callsIn(folder())).toEqual(onlyInfo)
  expect(done.outputs).toMatchObject({ skipped: 'true', 'target-reached': '' })
  expect(done.report?.pressure).toEqual({
    ...{ whenFreeBelow: '1%', open: false }
  })
  expect(done.report?.resources).toEqual([])
  expect(done.stdout).toMatch(
    /^Nothing to do: enough space is free \(when-free-below: 1%\)\. Disk \d+ % used, [\d.]+ GB free\.$/m
  )
  expect(await contents()).toEqual(before)

  const opened = await step(open)
  expect(outcomes(opened)).toEqual({ removed: 3 })
  expect(opened.report?.pressure).toEqual({
    ...{ whenFreeBelow: '100TB', open: true }
  })
})

test('a dry run makes the plan, also behind a closed gate', async () => {
  await load(oldImages(3))
  const before = await contents()
  const nothing = 'A real run would do nothing now: enough space is free'

  for (const [gate, isClosed] of [
    [closed, true],
    [open, false]
  ] as const) {
    const done = await step({ ...gate, 'dry-run': 'true' })
    expect(done.exitCode).toBe(0)
    expect(outcomes(done)).toEqual({ planned: 3 })
    expect(done.stdout.includes(nothing)).toBe(isClosed)
    expect(done.summary.includes(nothing)).toBe(isClosed)
  }
  expect(await contents()).toEqual(before)
})

/** The engine has forgotten how its images came. */
const emptyLog = 'case "$1 $4" in "events --until") exit ;; esac'

test('after ten days of looks behind a closed gate, the age of images is known', async () => {
  await load(imagesOfAnyDate)
  await build('FROM busybox:1\nRUN echo >/used', { tag: 'used:1' })
  await run('app', 'used:1', ...polite)
  const lookAfter = async (hours: number, more: Record<string, string>) => {
    const hooks = [noteCalls, emptyLog, clockMoved(hour * hours)].join('\n')
    const docker = await dockerThat(hooks)
    return step({ ...closed, 'state-dir': folder(), docker, ...more })
  }
  const before = await contents()
  for (const hours of [0, 5, 6, ...[2, 4, 6, 8, 10].map((days) => days * 24)]) {
    if (hours === 6 * 24) await docker('rm', '--force', 'app')
    const done = await lookAfter(hours, {})
    expect(done.outputs['skipped']).toBe('true')
    const calls = await callsIn(folder())
    const listed = calls.some((one) => one.startsWith('image ls'))
    expect({ hours, listed }).toEqual({ hours, listed: hours !== 5 })
  }
  const { images } = await contents()
  expect(images).toEqual(before.images)
  const later = { ...open, until: '7d' }
  const blind = await lookAfter(241, {
    ...{ ...later, 'state-dir': '', 'dry-run': 'true' }
  })
  const done = await lookAfter(241, { ...later, 'state-dir': folder() })

  expect(done.exitCode).toBe(0)
  const names = ['epoch:1', 'dos:1', 'old:1', 'none:1']
  for (const name of names) {
    // The containerd store dates loaded images.
    expect(resource(blind, name).reason).toBe(
      containerd ? 'expired' : 'unknown-age'
    )
    expect(resource(done, name).outcome).toBe('removed')
  }
  expect(resource(done, 'used:1')).toMatchObject({
    ...{ outcome: 'kept', reason: 'recent' },
    detail: expect.stringMatching(/^seen in use 6 days ago$/)
  })
})

/** An engine's answer to `docker info` with another value. */
const infoWith = (key: string, value: string) => `
case "$1" in info) "$docker" "$@" | sed 's|"${key}":"[^"]*"|"${key}":"${value}"|g'; exit ;; esac`

/** Runs a step on an overlay of the system's files, as in a container. Other shells drop the inputs. */
const inContainer = `
cd "$0" && mkdir box && mount -t tmpfs tmpfs box && mkdir box/root box/upper box/work
mount -t overlay -o lowerdir=/,upperdir=box/upper,workdir=box/work overlay box/root
for part in proc dev tmp; do mount --rbind /$part box/root/$part; done
exec chroot box/root "$@"`

test.each<[string, () => Promise<Step>, RegExp]>([
  [
    'the engine is behind a TCP address',
    async () => {
      const socket = engine().host.replace('unix://', '')
      const server = createServer((client) => {
        client.pipe(connect(socket)).pipe(client)
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      try {
        return await step(open, { DOCKER_HOST: `tcp://127.0.0.1:${port}` })
      } finally {
        server.close()
      }
    },
    /the engine runs on another host/
  ],
  [
    'the engine has another host name',
    async () =>
      step({ ...open, docker: await dockerThat(infoWith('Name', 'twin')) }),
    /the engine runs on another host/
  ],
  [
    'the engine has its data where the step cannot see it',
    async () => {
      const hooks = infoWith('DockerRootDir', '/none')
      return step({ ...open, docker: await dockerThat(hooks) })
    },
    /the disk of \/none or of the image store is not visible/
  ],
  [
    'the step runs in a container',
    () => {
      const above = ['unshare', '--mount', 'bash', '-c', inContainer, folder()]
      return tests.step(
        open,
        {},
        {
          above: [...seeingDiskOf(engine()), ...above]
        }
      )
    },
    /this runner runs in a container/
  ]
])('nothing is removed if %s', async (_, run, why) => {
  await load([oldImage('app')])
  const before = await contents()

  const done = await run()

  expectCleanFailure(done, /Nothing was removed: cannot read the free space/)
  expectCleanFailure(done, why)
  expect(await contents()).toEqual(before)
})
