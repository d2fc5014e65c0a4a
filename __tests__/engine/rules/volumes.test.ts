import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { everything as all } from '../harness/things.ts'

const { docker, step, contents } = useEngine()
const everything = { ...all, 'protected-labels': 'none' }
const none = ['--network', 'none']

/** Creates an unused named and an unused anonymous volume with data; returns the name of the latter. */
async function makeVolumes(): Promise<string> {
  await docker(
    'run',
    ...none,
    '--volume',
    'data:/data',
    'busybox:1',
    'sh',
    '-c',
    'echo precious >/data/file'
  )
  await docker(
    'run',
    ...none,
    '--volume',
    '/data',
    'busybox:1',
    'sh',
    '-c',
    'echo scratch >/data/file'
  )
  const { volumes } = await contents()
  const anonymous = volumes.find((name) => name !== 'data') ?? ''
  const ids = await docker('container', 'ls', '--all', '--quiet')
  await docker('container', 'rm', ...ids.split('\n'))
  return anonymous
}

test.each([
  ['false', { named: true, anonymous: true }],
  ['anonymous', { named: true, anonymous: false }],
  ['true', { named: true, anonymous: false }],
  ['all', { named: false, anonymous: false }]
])('include-volumes: %s', async (guard, stays) => {
  const anonymous = await makeVolumes()

  const done = await step({ ...everything, 'include-volumes': guard })

  const { volumes } = await contents()
  expect(volumes.includes('data')).toBe(stays.named)
  expect(volumes.includes(anonymous)).toBe(stays.anonymous)
  expect(resource(done, 'data').outcome).toBe(stays.named ? 'kept' : 'removed')
  if (stays.named)
    expect(
      await docker(
        'run',
        '--rm',
        ...none,
        '--volume',
        'data:/data',
        'busybox:1',
        'cat',
        '/data/file'
      )
    ).toBe('precious')
})

test('a volume of a stopped container is kept, whatever include-volumes is', async () => {
  await docker(
    'run',
    ...none,
    '--name',
    'job',
    '--label',
    'stay',
    '--volume',
    'data:/data',
    '--volume',
    '/more',
    'busybox:1',
    'sh',
    '-c',
    'echo precious >/data/file'
  )

  const done = await step({
    ...everything,
    'include-volumes': 'all',
    'protected-labels': 'stay'
  })

  expect((await contents()).volumes).toHaveLength(2)
  expect(resource(done, 'data')).toMatchObject({
    action: 'keep',
    reason: 'in-use'
  })
  expect(
    await docker(
      'run',
      '--rm',
      ...none,
      '--volumes-from',
      'job',
      'busybox:1',
      'cat',
      '/data/file'
    )
  ).toBe('precious')
})

test('a volume is removed in the same run as the container that used it', async () => {
  await docker('run', ...none, '--volume', '/scratch', 'busybox:1', 'true')
  const done = await step({ ...everything, 'include-volumes': 'anonymous' })
  expect(done.outputs).toMatchObject({
    'removed-containers': '1',
    'removed-volumes': '1'
  })
  expect((await contents()).volumes).toEqual([])
})

test('a named volume is kept if until is set, and an anonymous one for its first ten minutes', async () => {
  const anonymous = await makeVolumes()
  const done = await step({
    ...everything,
    until: '1ms',
    'include-volumes': 'all'
  })
  expect(resource(done, 'data')).toMatchObject({
    action: 'keep',
    reason: 'unknown-age'
  })
  expect(resource(done, anonymous)).toMatchObject({
    action: 'keep',
    reason: 'recent'
  })
})
