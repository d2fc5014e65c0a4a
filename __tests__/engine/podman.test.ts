import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test } from '@jest/globals'
import { oldImage, parentOf, resource, useEngine } from './harness.ts'

// What is special about Podman: runs only where the engine is one.

const { docker, engine, load, build, step, contents } = useEngine()
const everything = {
  'keep-last': '0',
  until: '0s',
  'protected-images': 'busybox',
  'include-volumes': 'all'
}

/** Calls Podman's own API, for what Docker's has no words for. */
async function libpod(
  method: string,
  path: string,
  body?: object
): Promise<string> {
  return new Promise((done, fail) => {
    const call = request(
      {
        socketPath: engine().host.replace('unix://', ''),
        method,
        path: `/v4.0.0/libpod${path}`,
        headers: { 'Content-Type': 'application/json' }
      },
      (response) => {
        text(response).then((answer) => {
          if ((response.statusCode ?? 500) < 300) done(answer)
          else fail(new Error(answer))
        }, fail)
      }
    )
    call.on('error', fail)
    call.end(body && JSON.stringify(body))
  })
}

afterEach(async () => {
  const pods = JSON.parse(await libpod('GET', '/pods/json')) as { Id: string }[]
  for (const { Id } of pods) await libpod('DELETE', `/pods/${Id}?force=true`)
})

async function makePod(name: string): Promise<void> {
  await libpod('POST', '/pods/create', { name })
  await libpod('POST', '/containers/create', {
    name: `in-${name}`,
    image: 'busybox:1',
    command: ['true'],
    pod: name
  })
}

test('a pod stays, with all its containers and its image; what joins none goes', async () => {
  await makePod('idle')
  await makePod('done')
  await docker('start', 'in-done')
  await docker('wait', 'in-done')
  await docker('create', '--network', 'none', '--name', 'lone', 'busybox:1')

  const done = await step({ ...everything, 'protected-images': '' })

  expect(done.exitCode).toBe(0)
  const { containers, references } = await contents()
  expect(containers).toHaveLength(4)
  expect(containers).toEqual(expect.arrayContaining(['in-done', 'in-idle']))
  expect(references).toHaveLength(2)
  expect(resource(done, 'in-done')).toMatchObject({
    action: 'keep',
    reason: 'in-use',
    detail: 'it is exited, and part of a pod'
  })
  expect(resource(done, 'lone').outcome).toBe('removed')
})

test('the log and the summary say once what is left alone', async () => {
  const { stdout, summary } = await step({})
  for (const shown of [stdout, summary])
    expect(shown.match(/This engine is Podman \d/g)).toHaveLength(1)
  expect(stdout).not.toContain('::warning::')
})

test('a named volume stays: Podman would take another one whose name begins alike', async () => {
  await docker('volume', 'create', 'data-of-others')
  // This is what another run that removed `data` first would make of ours.
  await docker('volume', 'rm', 'data').catch(() => undefined)
  expect((await contents()).volumes).toEqual([])
  await docker('volume', 'create', 'data')

  const done = await step(everything)

  expect(resource(done, 'data')).toMatchObject({
    action: 'keep',
    reason: 'named-volume'
  })
  expect((await contents()).volumes).toEqual(['data'])
})

test('an anonymous volume goes only once it was watched: the log has no mounts', async () => {
  const anonymous = await docker('volume', 'create')
  const folder = await mkdtemp(join(tmpdir(), 'state-'))
  try {
    const inputs = {
      ...everything,
      'include-volumes': 'anonymous',
      until: '2s',
      'dry-run': 'true',
      'state-dir': folder
    }
    expect(resource(await step(inputs), anonymous)).toMatchObject({
      action: 'keep',
      reason: 'unknown-age'
    })
    // The second look comes more than 2 s after the first: it only waits for its first ten minutes to be over.
    expect(resource(await step(inputs), anonymous)).toMatchObject({
      action: 'keep',
      reason: 'recent'
    })
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('an image is as old as its latest event, or as an earlier run has known it; its date says nothing', async () => {
  await load([oldImage('loaded'), oldImage('tagged')])
  await docker('tag', 'tagged:1', 'acme/tagged:1')
  const folder = await mkdtemp(join(tmpdir(), 'state-'))
  try {
    const inputs = { ...everything, until: '1h', 'state-dir': folder }
    const first = await step(inputs)
    expect(resource(first, 'tagged:1')).toMatchObject({
      action: 'keep',
      reason: 'recent'
    })
    expect(resource(first, 'tagged:1').detail).toMatch(/^tagged \d+ s ago$/)
    // Podman 5 says what it loaded, Podman 4 does not.
    expect(['recent', 'unknown-age']).toContain(
      resource(first, 'loaded:1').reason
    )
    const second = await step({ ...inputs, until: '1s' })
    expect(resource(second, 'loaded:1').outcome).toBe('removed')
    expect(resource(second, 'tagged:1').outcome).toBe('removed')
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('the log is read to its end, however long it is', async () => {
  const names = Array.from({ length: 300 }, (_, index) => `name-${index}:1`)
  for (const name of names) await docker('tag', 'busybox:1', name)
  await load([oldImage('app')])
  await docker('tag', 'app:1', 'last:1')
  await docker('image', 'rm', 'app:1')

  const done = await step({ ...everything, until: '1h' })

  expect(resource(done, 'last:1').detail).toMatch(/^tagged \d+ s ago$/)
})

test('a pattern protects what was built here, with and without localhost', async () => {
  for (const glob of ['app', 'localhost/app:*']) {
    await load([oldImage('app'), oldImage('application')])
    const done = await step({
      ...everything,
      'protected-images': `busybox, ${glob}`
    })
    expect(resource(done, 'app:1')).toMatchObject({ reason: 'protected-image' })
    expect((await contents()).references).toEqual(['app:1', 'busybox:1'])
  }
})

test('of two images of one short name the one that was meant goes', async () => {
  await load([oldImage('app')])
  await docker('tag', 'app:1', 'mirror:1')
  // Docker's own tag would move the one of localhost.
  const name = 'repo=docker.io/library/app&tag=1'
  await libpod('POST', `/images/busybox:1/tag?${name}`)

  const done = await step(everything)

  expect(done.exitCode).toBe(0)
  expect((await contents()).references).toEqual(['app:1', 'busybox:1'])
  await docker('image', 'inspect', 'docker.io/library/app:1')
})

test('a parent that is protected outlives its only child', async () => {
  await build('FROM busybox:1\nLABEL pinned=yes\nLABEL pinned=\n', {
    tag: 'child:1'
  })
  const parent = await parentOf(docker, 'child:1')

  const done = await step({ ...everything, 'protected-labels': 'pinned=yes' })

  expect(done.exitCode).toBe(0)
  expect((await contents()).images).toContain(parent)
  const takesAlong = done.report?.engine.version.startsWith('4')
  expect(resource(done, 'child:1')).toMatchObject(
    takesAlong
      ? { action: 'keep', reason: 'in-use' }
      : { outcome: 'removed', reason: 'expired' }
  )
})

test('an image that a container mounts stays', async () => {
  await load([oldImage('mounted'), oldImage('other')])
  await libpod('POST', '/containers/create', {
    name: 'mounts',
    image: 'busybox:1',
    command: ['true'],
    image_volumes: [{ Source: 'mounted:1', Destination: '/mnt' }]
  })

  const done = await step({ ...everything, 'include-containers': 'false' })

  expect(resource(done, 'mounted:1')).toMatchObject({
    action: 'keep',
    reason: 'in-use'
  })
  expect(resource(done, 'other:1').outcome).toBe('removed')
})
