import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Freed } from '../../src/accounting/layers.ts'
import {
  cacheShareOf,
  freedWithBases,
  imagesToSplit,
  ownOfShared,
  recordsLeftBehind,
  withPacked
} from '../../src/accounting/cache.ts'
import { freedByImages } from '../../src/accounting/freed.ts'
import { cacheRecord, image } from '../builders.ts'

const built = image('built', { bytes: 100, byBuildKit: true })
const plain = image('plain', { bytes: 60 })
const freed = (...figures: [string, number, number][]) =>
  new Map<string, Freed>(
    figures.map(([id, bytes, layers]) => [
      id,
      { bytes, layers, estimated: false }
    ])
  )
const both = freed(['built', 100, 3], ['plain', 60, 4])
const record = (bytes: number, base = false) =>
  cacheRecord({ id: `${bytes}`, bytes, base, shared: true })

test('cache records hold only layers that BuildKit built', () => {
  const { byImage, byBases } = cacheShareOf(both, [plain, built], [record(70)])
  expect([...byImage]).toEqual([['built', 70]])
  expect(byBases).toBe(0)
})

test('a base image record has no size and may hold a layer of any image, counted largest first', () => {
  const bases = (count: number) =>
    cacheShareOf(
      both,
      [plain, built],
      Array.from({ length: count }, () => record(0, true))
    )
  expect([...bases(3).byImage]).toEqual([['built', 100]])
  expect([...bases(4).byImage]).toEqual([
    ['built', 100],
    ['plain', 60]
  ])
  expect(bases(4)).toMatchObject({ byBases: 160, estimated: true })
})

test('on the containerd store, a record holds the packed layer; a base image record also holds the unpacked one', () => {
  const packed = [
    image('built', { bytes: 100, packedBytes: 50, byBuildKit: true }),
    image('plain', { bytes: 60, packedBytes: 30 })
  ]
  expect([...cacheShareOf(both, packed, [record(100)]).byImage]).toEqual([
    ['built', 50]
  ])
  const bases = cacheShareOf(both, packed, [record(20, true)])
  expect([...bases.byImage]).toEqual([['built', 40]])
  expect(ownOfShared(packed, [record(100), record(20, true)])).toBe(50)
  expect(ownOfShared([built], [record(100)])).toBe(0)
})

// On Docker 29, the size in inspect includes packed and unpacked layers.
const whole = (id: string, bytes: number, byBuildKit = false) =>
  image(id, { bytes, packedBytes: bytes, byBuildKit, layers: [id] })

test('removing an image always frees its unpacked layers; the cache may keep the packed ones', () => {
  const listed = [whole('built', 48_010_640, true)]
  const images = withPacked(listed, new Map([['built', 24_004_112]]))
  const records = [record(48_010_800)]
  const free = (all: typeof images) =>
    freedByImages({ images: all }, ['built'], new Map(), records).figures
  expect(free(images).get('built')).toEqual({
    bytes: 24_006_448,
    bytesAtMost: 48_010_640,
    estimated: true
  })
  expect(ownOfShared(images, records)).toBe(24_006_608)
  // Without the image history, nothing is certain.
  expect(free(listed).get('built')).toMatchObject({ bytes: 0 })
})

test('the packed size is looked up for removed images where it is unknown and the cache may hold them', () => {
  const images = [
    image('split', { bytes: 90, packedBytes: 30, byBuildKit: true }),
    image('driver', { bytes: 90, byBuildKit: true }),
    whole('built', 90, true),
    whole('plain', 90)
  ]
  const ids = images.map(({ id }) => id)
  const shared = [record(1)]
  expect(imagesToSplit(images, ids, shared)).toEqual(['built'])
  expect(imagesToSplit(images, ['plain'], shared)).toEqual(['plain'])
  expect(imagesToSplit(images, ['split', 'driver'], shared)).toEqual([])
  expect(imagesToSplit(images, ids, [cacheRecord()])).toEqual([])
  expect(imagesToSplit(images, ids, undefined)).toEqual([])

  const packed = withPacked(images, new Map(ids.map((id) => [id, 40])))
  expect(packed.map(({ packedBytes }) => packedBytes)).toEqual([
    30,
    undefined,
    40,
    40
  ])
})

test('an image that is not unpacked does not affect the packed share of others', () => {
  const images = [
    image('built', { bytes: 100, packedBytes: 50, byBuildKit: true }),
    whole('plain', 60)
  ]
  expect(cacheShareOf(both, images, [record(100)]).byImage.get('built')).toBe(
    50
  )
})

test('if the engine does not list its cache, the cache may hold everything', () => {
  expect([...cacheShareOf(both, [plain, built], undefined).byImage]).toEqual([
    ['plain', 60],
    ['built', 100]
  ])
})

test('the cache never holds more than the images would free', () => {
  const records = fc.array(
    fc.record({ bytes: fc.nat({ max: 200 }), base: fc.boolean() }),
    { maxLength: 8 }
  )
  fc.assert(
    fc.property(records, fc.boolean(), (parts, packed) => {
      const images = [plain, built].map((one) => ({
        ...one,
        ...(packed && { packedBytes: one.bytes / 3 })
      }))
      const { byImage, byBases } = cacheShareOf(
        both,
        images,
        parts.map((one) => cacheRecord(one))
      )
      for (const [id, held] of byImage) {
        expect(held).toBeGreaterThanOrEqual(0)
        expect(held).toBeLessThanOrEqual(both.get(id)?.bytes ?? 0)
      }
      expect(byBases).toBeLessThanOrEqual(160)
    })
  )
})

test('records that are no longer shared with an image are left behind; records that others removed are not', () => {
  const before = ['left', 'shared', 'gone'].map((id) =>
    cacheRecord({ id, shared: true })
  )
  const after = [
    cacheRecord({ id: 'left' }),
    cacheRecord({ id: 'shared', shared: true }),
    cacheRecord({ id: 'new' })
  ]
  expect(recordsLeftBehind(before, after).map(({ id }) => id)).toEqual(['left'])
})

test('base image layers are freed together with the records that hold them', () => {
  const held = { byImage: new Map(), byBases: 90, estimated: true }
  const left = [record(0, true), record(1, true), record(70)]
  expect(freedWithBases(held, left, new Set(['0', '1', '70']))).toBe(89)
  expect(freedWithBases(held, left, new Set(['0']))).toBe(45)
  expect(freedWithBases(held, left, new Set(['70']))).toBe(0)
})

test('inconsistent sizes do not break the accounting', () => {
  const odd = [
    { ...built, packedBytes: 0 },
    { ...plain, packedBytes: 0 }
  ]
  expect(cacheShareOf(both, odd, [record(0, true)]).byBases).toBe(100)
  const more = [{ ...built, packedBytes: 200 }]
  expect(ownOfShared(more, [record(100)])).toBe(0)
})
