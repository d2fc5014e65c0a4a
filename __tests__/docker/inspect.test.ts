import { expect, test } from '@jest/globals'
import type { Docker } from '../../src/docker/cli.ts'
import { DockerError } from '../../src/docker/errors.ts'
import { inspect, saysAbsent } from '../../src/docker/inspect.ts'
import { imageSchema, volumeSchema } from '../../src/docker/schemas.ts'

test.each([
  ['container', 'Error: No such container: abc', true],
  ['container', 'Error response from daemon: No such container: abc', true],
  ['image', 'Error: No such image: abc', true],
  ['network', 'Error: No such network: abc', true],
  ['network', 'Error response from daemon: network abc not found', true],
  ['volume', 'Error response from daemon: get abc: no such volume', true],
  ['volume', 'Error: No such volume: abc', true],
  [
    'container',
    'Error response from daemon: no container with name or ID "abc" found: no such container',
    true
  ],
  [
    'image',
    'Error response from daemon: failed to find image abc: docker.io/library/abc: No such image',
    true
  ],
  [
    'network',
    'Error response from daemon: unable to find network with name or ID abc: network not found',
    true
  ],
  [
    'volume',
    'Error response from daemon: volume with name abc not found: no such volume',
    true
  ],
  ['volume', 'Error response from daemon: no such volume', true],
  [
    'volume',
    'Error response from daemon: no such volume\nError response from daemon: broken',
    false
  ],
  ['network', 'Error response from daemon: no such volume', false],
  ['container', 'Error: No such container: abcd', false],
  [
    'container',
    'Error response from daemon: layer of abc does not exist: snapshot x not found',
    false
  ],
  [
    'image',
    'Error response from daemon: content of abc: open /x/abc: no such file or directory',
    false
  ],
  [
    'volume',
    'Error response from daemon: get abc: error while checking if volume exists: plugin not found',
    false
  ],
  ['container', 'Error response from daemon: context deadline exceeded', false]
] as const)('%s: %s', (type, stderr, absent) => {
  expect(saysAbsent({ stderr, stdout: '', exitCode: 1 }, type, 'abc')).toBe(
    absent
  )
})

const answering =
  (stdout: string, stderr = '', exitCode = stderr === '' ? 0 : 1): Docker =>
  () =>
    Promise.resolve({ stdout, stderr, exitCode })

test('missing objects are left out, and unreadable ones are listed', async () => {
  const docker = answering(
    '[{"Id":"a"}]',
    'Error: No such image: b\nError response from daemon: broken'
  )
  expect(
    await inspect(docker, 'image', ['a', 'b', 'c'], imageSchema)
  ).toMatchObject({ found: [{ Id: 'a' }], unreadable: ['c'] })
})

test('an inspection without output is an error', async () => {
  await expect(
    inspect(answering('', 'unknown flag'), 'image', ['a'], imageSchema)
  ).rejects.toThrow(DockerError)
  await expect(
    inspect(answering('[{"Id":'), 'image', ['a'], imageSchema)
  ).rejects.toThrow(/docker image inspect/)
  expect(
    await inspect(answering('never called'), 'image', [], imageSchema)
  ).toEqual({ found: [], unreadable: [] })
})

test.each([
  ['too few objects', '[{"Id":"a"}]', ['a', 'b']],
  ['no objects', '[]', ['a', 'b']],
  ['a different object', '[{"Id":"a"},{"Id":"c"}]', ['a', 'b']],
  ['a duplicate', '[{"Id":"a"},{"Id":"a"}]', ['a', 'b']],
  ['too many objects', '[{"Id":"a"},{"Id":"b"},{"Id":"c"}]', ['a', 'b']],
  ['a different ID', '[{"Id":"sha256:b"}]', ['sha256:a']],
  ['two images for one reference', '[{"Id":"a"},{"Id":"b"}]', ['app:1']],
  ['a different object and an error', '[{"Id":"c"}]', ['a', 'b'], 'no such b']
])(
  'an inspection that returns %s is an error',
  async (_, stdout, names, stderr = '') => {
    await expect(
      inspect(answering(stdout, stderr), 'image', names, imageSchema)
    ).rejects.toThrow(/docker image inspect returned other/)
  }
)

test('an image inspected by reference is returned with its ID', async () => {
  expect(
    await inspect(
      answering('[{"Id":"sha256:a"}]'),
      'image',
      ['app:1'],
      imageSchema
    )
  ).toMatchObject({ found: [{ Id: 'sha256:a' }], unreadable: [] })
})

test('many or long names are split over several calls', async () => {
  const sizes: number[] = []
  const docker: Docker = (args) => {
    const asked = args.slice(3)
    sizes.push(asked.length)
    return answering(JSON.stringify(asked.map((Id) => ({ Id, Name: Id }))))(
      args
    )
  }
  await inspect(
    docker,
    'image',
    Array.from({ length: 250 }, (_, index) => String(index)),
    imageSchema
  )
  expect(sizes).toEqual([100, 100, 50])
  sizes.length = 0
  // Filesystems allow names of 255 characters; a Windows command line is limited to 32,767.
  const long = Array.from({ length: 200 }, (_, index) =>
    String(index).padStart(255, 'n')
  )
  await inspect(docker, 'volume', long, volumeSchema)
  expect(sizes).toEqual([62, 62, 62, 14])
})

test('a call with too much output is split in halves, without splitting the other calls', async () => {
  let calls = 0
  const docker: Docker = (args) => {
    calls += 1
    const names = args.slice(args.indexOf('--') + 1)
    if (names.includes('n-50') && names.length > 1)
      return Promise.reject(new DockerError('too-large', { text: 'too large' }))
    const stdout = JSON.stringify(names.map((Id) => ({ Id })))
    return Promise.resolve({ stdout, stderr: '', exitCode: 0 })
  }
  const names = Array.from({ length: 1_000 }, (_, index) => `n-${index}`)
  const { found, unreadable } = await inspect(
    docker,
    'image',
    names,
    imageSchema
  )
  expect(found).toHaveLength(1_000)
  expect(unreadable).toEqual([])
  expect(calls).toBeLessThan(40)
})

test('a single object that is too large is unreadable', async () => {
  const docker: Docker = () =>
    Promise.reject(new DockerError('too-large', { text: 'too large' }))
  expect(await inspect(docker, 'image', ['a', 'b'], imageSchema)).toEqual({
    found: [],
    unreadable: ['a', 'b']
  })
})
