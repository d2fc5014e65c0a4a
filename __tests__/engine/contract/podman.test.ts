import { join } from 'node:path'
import { afterEach, expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { everything, oldImage, parentOf } from '../harness/things.ts'

// Behaviour specific to Podman; this file runs only on Podman.

const tests = useEngine()
const { api, docker, folder, load, build, create } = tests
const { step, contents, overflowLog } = tests

/** Podman's own API, for what Docker's API cannot do. */
const libpod = '/v4.0.0/libpod'

afterEach(async () => {
  const pods = await api().get<{ Id: string }[]>(`${libpod}/pods/json`)
  for (const { Id } of pods)
    await api().remove(`${libpod}/pods/${Id}?force=true`)
})

async function makePod(name: string): Promise<void> {
  await api().post(`${libpod}/pods/create`, { name })
  await api().post(`${libpod}/containers/create`, {
    name: `in-${name}`,
    image: 'busybox:1',
    command: ['true'],
    pod: name
  })
}

// Few tests: each step waits 3 s for the end of Podman's event log.

test('Podman’s pods, mounted images, parents, short names and volumes', async () => {
  await makePod('idle')
  await makePod('done')
  await docker('start', 'in-done')
  await docker('wait', 'in-done')
  await create('lone', 'busybox:1')

  const names = ['holder', 'mounted', 'app', 'application', 'web', 'website']
  await load([...names, 'short'].map((name) => oldImage(name)))
  await api().post(`${libpod}/containers/create`, {
    ...{ name: 'mounts', image: 'holder:1', command: ['true'] },
    labels: { keep: '' },
    image_volumes: [{ Source: 'mounted:1', Destination: '/mnt' }]
  })
  await build('FROM scratch\nLABEL pinned=yes\nLABEL pinned=\n', {
    tag: 'child:1'
  })
  const parent = await parentOf(docker, 'child:1')
  await docker('tag', 'short:1', 'mirror:1')
  // `docker tag` would move the tag in localhost instead.
  const target = 'repo=docker.io/library/short&tag=1'
  await api().post(`${libpod}/images/holder:1/tag?${target}`)
  await docker('volume', 'create', 'data-of-others')
  // Podman removes volumes by prefix: this is what happens if another run has removed `data` first.
  await docker('volume', 'rm', 'data').catch(() => undefined)
  expect((await contents()).volumes).toEqual([])
  await docker('volume', 'create', 'data')

  const done = await step({
    ...{ ...everything, 'include-volumes': 'all' },
    'protected-images': 'app, localhost/web:*',
    'protected-labels': 'keep, pinned=yes'
  })

  expect(done.exitCode).toBe(0)
  const { containers, images, references, volumes } = await contents()
  expect(containers).toHaveLength(5)
  expect(containers).toEqual(expect.arrayContaining(['in-done', 'in-idle']))
  expect(resource(done, 'in-done')).toMatchObject({
    action: 'keep',
    reason: 'in-use',
    detail: 'exited, part of a pod'
  })
  expect(resource(done, 'lone').outcome).toBe('removed')
  expect(resource(done, 'busybox:1').reason).toBe('in-use')

  expect(resource(done, 'mounted:1')).toMatchObject({
    action: 'keep',
    reason: 'in-use'
  })

  expect(images).toContain(parent)
  const removesParents = done.report?.engine.version.startsWith('4')
  expect(resource(done, 'child:1')).toMatchObject(
    removesParents
      ? { action: 'keep', reason: 'in-use' }
      : { outcome: 'removed', reason: 'expired' }
  )

  for (const name of ['app:1', 'web:1'])
    expect(resource(done, name).reason).toBe('protected-image')
  // Of two images with the same short name, the planned one was removed.
  await docker('image', 'inspect', 'docker.io/library/short:1')
  expect(references.filter((one) => !one.includes('pause'))).toEqual([
    ...['app:1', 'busybox:1', ...(removesParents ? ['child:1'] : [])],
    ...['holder:1', 'mounted:1', 'short:1', 'web:1']
  ])

  // Podman could remove another volume with the same prefix.
  expect(resource(done, 'data')).toMatchObject({
    action: 'keep',
    reason: 'named-volume'
  })
  expect(volumes).toEqual(['data'])

  for (const shown of [done.stdout, done.summary])
    expect(shown.match(/This engine is Podman \d/g)).toHaveLength(1)
  expect(done.stdout).not.toContain('::warning::')
})

test('the age of images and volumes comes from the event log and earlier runs, not from dates', async () => {
  const anonymous = await docker('volume', 'create')
  await load(['loaded', 'tagged', 'last'].map((name) => oldImage(name)))
  await docker('tag', 'tagged:1', 'acme/tagged:1')
  await overflowLog()
  await docker('tag', 'last:1', 'acme/last:1')
  const inputs = {
    ...{ ...everything, 'include-volumes': 'anonymous' },
    'state-dir': join(folder(), 'state')
  }

  const first = await step({ ...inputs, until: '1h' })

  for (const name of ['tagged:1', 'last:1'])
    expect(resource(first, name)).toMatchObject({
      action: 'keep',
      reason: 'recent',
      detail: expect.stringMatching(/^tagged \d+ s ago$/)
    })
  // Podman 5 logs which image it loaded; Podman 4 does not.
  expect(['recent', 'unknown-age']).toContain(
    resource(first, 'loaded:1').reason
  )
  // The event log has no mounts.
  expect(resource(first, anonymous)).toMatchObject({
    action: 'keep',
    reason: 'unknown-age'
  })

  const second = await step({ ...inputs, until: new Date().toISOString() })

  for (const name of ['tagged:1', 'last:1', 'loaded:1'])
    expect(resource(second, name).outcome).toBe('removed')
  // It has been watched, but is less than ten minutes old.
  expect(resource(second, anonymous)).toMatchObject({
    action: 'keep',
    reason: 'recent'
  })
})

test('a network that a container joins just before its removal is kept', async () => {
  await docker('network', 'create', 'net')
  const command = await tests.dockerThat(
    'case "$1 $2" in "network rm") once $docker run --detach --network net busybox:1 sleep 600 ;; esac'
  )

  const done = await step({ ...everything, docker: command })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'net')).toMatchObject({
    outcome: 'kept',
    reason: 'changed'
  })
  expect((await contents()).networks).toContain('net')
})
