import { expect, test } from '@jest/globals'
import type { Docker } from '../../src/docker/cli.ts'
import { measureLayers } from '../../src/docker/sizes.ts'
import { image, inventory } from '../builders.ts'

const history =
  (...sizes: number[]): Docker =>
  () =>
    Promise.resolve({
      exitCode: 0,
      stdout: sizes
        .map((size) => `{"CreatedBy":"COPY x /","Size":"${size}"}`)
        .join('\n'),
      stderr: ''
    })

test.each([
  ['containerd', [24, 10], 66],
  ['overlay2', [24, 10], undefined],
  // The base layer shows no size: it was unpacked for another image.
  ['containerd', [0, 10], undefined],
  ['containerd', [0, 0], undefined],
  ['containerd', [10], undefined],
  ['containerd', [70, 70], 0]
])('packed size on %s with history %j: %p', async (store, sizes, packed) => {
  const engine = { ...inventory().engine, store }
  const asked = image('i', { bytes: 100, layers: ['base', 'own'] })
  const measured = await measureLayers(history(...sizes), engine, [asked])
  expect(measured.packed.get('i')).toBe(packed)
})
