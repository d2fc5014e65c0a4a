import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  freedByRemoval,
  imagesToMeasure,
  ownBytes
} from '../../src/accounting/layers.ts'
import { layerSizesOf } from '../../src/docker/history.ts'
import type { Image } from '../../src/model/inventory.ts'

/** Builds an image from layers such as `a10`: the letter is the content, the number the size. */
function image(id: string, ...layers: string[]): Image {
  return {
    id,
    layers,
    references: [],
    digests: [],
    aliases: [],
    parent: undefined,
    createdAt: 0,
    taggedAt: 0,
    labels: {},
    pulled: false,
    byBuildKit: true,
    bytes: layers.reduce((sum, layer) => sum + sizeOf(layer), 0)
  }
}
const sizeOf = (layer: string) => Number(layer.slice(1))
const sizesOf = (images: readonly Image[]) =>
  new Map(images.map(({ id, layers }) => [id, layers.map(sizeOf)]))
const freedBytes = (...args: Parameters<typeof freedByRemoval>) =>
  new Map([...freedByRemoval(...args)].map(([id, { bytes }]) => [id, bytes]))
const sum = (freed: ReadonlyMap<string, number>) =>
  [...freed.values()].reduce((total, bytes) => total + bytes, 0)

test('images on a shared base free their own layers; the last one also frees the base', () => {
  const images = [
    image('1', 'a20', 'b7'),
    image('2', 'a20', 'c7'),
    image('3', 'a20', 'd7')
  ]
  const sizes = new Map([['1', [20, 7]]])
  expect(imagesToMeasure(images, ['1'])).toEqual(['1'])
  expect([...freedBytes(images, ['1'], sizes)]).toEqual([['1', 7]])
  expect([...freedBytes(images, ['1', '2', '3'], sizes)]).toEqual([
    ['1', 7],
    ['2', 7],
    ['3', 27]
  ])
})

test('without measured layers, only the certain bytes count', () => {
  const images = [image('1', 'a20', 'b7'), image('2', 'a20', 'c9')]
  expect([...freedBytes(images, ['2'])]).toEqual([['2', 2]])
})

test('a base image that is itself listed needs no measuring', () => {
  const images = [
    image('base', 'a20'),
    image('1', 'a20', 'b7'),
    image('2', 'a20', 'c7')
  ]
  expect(imagesToMeasure(images, ['1', '2'])).toEqual([])
  expect([...freedBytes(images, ['1', 'base'])]).toEqual([
    ['1', 7],
    ['base', 0]
  ])
})

test('images with the same layers, without layers, and unknown images', () => {
  const images = [image('1', 'a5'), image('2', 'a5'), image('empty')]
  expect([...freedBytes(images, ['1', 'empty', 'unknown', '1'])]).toEqual([
    ['1', 0],
    ['empty', 0]
  ])
})

const generated = fc
  .array(
    fc.array(fc.constantFrom('a1', 'b20', 'c300', 'd0'), { maxLength: 4 }),
    { maxLength: 8 }
  )
  .map((stacks) =>
    stacks.map((layers, index) => image(String(index), ...layers))
  )

test('an image’s own bytes are what removing only that image would free', () => {
  fc.assert(
    fc.property(generated, (images) => {
      expect([...ownBytes(images)]).toEqual(
        images.map(({ id }) => [id, freedBytes(images, [id]).get(id)])
      )
    })
  )
})

test('the freed bytes are those of layers that no kept image has', () => {
  fc.assert(
    fc.property(generated, fc.array(fc.nat({ max: 7 })), (images, indexes) => {
      const removed = [...new Set(indexes.map(String))]
      const stacks = (some: readonly Image[]) =>
        new Set(
          some.flatMap(({ layers }) =>
            layers.map((_, at) => layers.slice(0, at + 1).join(' '))
          )
        )
      const kept = stacks(images.filter(({ id }) => !removed.includes(id)))
      const freed = [...stacks(images)].filter((stack) => !kept.has(stack))
      const expected = freed.reduce(
        (total, stack) => total + sizeOf(stack.split(' ').at(-1) ?? ''),
        0
      )
      const measured = imagesToMeasure(images, removed)
      const sizes = new Map(
        [...sizesOf(images)].filter(([id]) => measured.includes(id))
      )
      expect(sum(freedBytes(images, removed, sizes))).toBe(expected)
      expect(sum(freedBytes(images, removed))).toBeLessThanOrEqual(expected)
    })
  )
})

test('history entries without a layer are distinguished from empty layers', () => {
  const history = [
    { createdBy: 'CMD ["sh"]', bytes: 0 },
    { createdBy: 'COPY a / # buildkit', bytes: 7 },
    { createdBy: 'WORKDIR /app', bytes: 0 },
    { createdBy: '/bin/sh -c #(nop)  ENV a=b', bytes: 0 },
    { createdBy: '/bin/sh -c true', bytes: 0 },
    { createdBy: '', bytes: 20 }
  ]
  expect(layerSizesOf(history, 4)).toEqual([20, 0, 0, 7])
  expect(layerSizesOf(history, 2)).toEqual([20, 7])
  expect(layerSizesOf(history, 3)).toBeUndefined()
})
