import { expect, test } from '@jest/globals'
import type { Docker } from '../../src/docker/cli.ts'
import { listContainersAgain } from '../../src/docker/containers.ts'
import { inspectAgain, inspectImages } from '../../src/docker/images.ts'
import { container, image, inventory, minute, now } from '../builders.ts'

/** Fields that inspect returns for every undamaged image. */
const whole = { Config: {}, RootFS: { Type: 'layers' } }

const onStore = (store: string, parts: Parameters<typeof inventory>[0]) =>
  inventory({ ...parts, engine: { ...inventory().engine, store } })

test.each([
  ['overlay2', {}, { bytes: 30 }],
  ['containerd', {}, { bytes: 90, packedBytes: 30 }],
  // On Docker 29, the size in inspect includes the unpacked layers.
  ['containerd', { bytes: 30, packedBytes: 20 }, { bytes: 30, packedBytes: 20 }]
])(
  'an image inspected again on %s has the size that its store counts',
  async (store, parts, size) => {
    const stdout = JSON.stringify([{ ...whole, Id: 'i', Size: 30 }])
    const docker: Docker = () =>
      Promise.resolve({ exitCode: 0, stdout, stderr: '' })
    const known = image('i', { bytes: 90, ...parts })
    const held = onStore(store, { images: [known] })
    const { images } = await inspectAgain(docker, held, [known])
    expect(images).toEqual([expect.objectContaining(size)])
    expect(images[0] && 'packedBytes' in images[0]).toBe('packedBytes' in size)
  }
)

test.each([
  [[minute, 6 * minute, 9 * minute], 'since=2'],
  // Some dates are in the future: the engine's clock was set back.
  [[-minute, minute, 4 * minute], undefined],
  [[], undefined]
])(
  'containers created %j ms ago are listed again since the newest one older than 5 minutes',
  async (ages, filter) => {
    const containers = ages.map((age, index) =>
      container(String(index + 1), { createdAt: now - age })
    )
    const listed: string[][] = []
    const docker: Docker = (args) => {
      listed.push([...args])
      return Promise.resolve({ exitCode: 0, stdout: '', stderr: '' })
    }
    const held = onStore('containerd', { containers })
    const nothing = () => false
    await listContainersAgain(docker, held, {
      changing: nothing,
      gone: nothing
    })
    expect(listed.map((args) => args.find((one) => /since/.test(one)))).toEqual(
      [filter]
    )
  }
)

test('an image that cannot be inspected during its removal is gone on retry', async () => {
  const words = [
    'Error response from daemon: consistency error: data changed during operation, retry',
    'Error response from daemon: No such image: sha256:abc'
  ]
  const docker: Docker = () =>
    Promise.resolve({ exitCode: 1, stdout: '[]', stderr: words.shift() ?? '' })
  const { engine } = inventory({})
  expect(await inspectImages(docker, engine, ['sha256:abc'])).toEqual({
    found: [],
    unreadable: []
  })
})
