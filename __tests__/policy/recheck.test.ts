import { expect, test } from '@jest/globals'
import type { Container } from '../../src/policy/inventory.ts'
import { needsOf } from '../../src/policy/needs.ts'
import {
  recheckContainer,
  recheckImage,
  recheckNetwork,
  recheckVolume,
  type SecondLook
} from '../../src/policy/recheck.ts'
import { container, image, network, now, volume } from '../builders.ts'

const planned = {
  container: container('c'),
  network: network('n'),
  image: image('sha256:i', {
    references: ['app:1', 'app:2', 'app@sha256:f', 'web:1'],
    taggedAt: now
  }),
  volume: volume('v')
}

function look(
  parts: Partial<SecondLook> = {},
  containers: Container[] = []
): SecondLook {
  const there = [planned.container, ...containers]
  return {
    now,
    needs: needsOf(there, { containers: there, images: [planned.image] }),
    containers: new Map(there.map((one) => [one.id, one])),
    networks: new Map([['n', planned.network]]),
    images: new Map([['sha256:i', planned.image]]),
    volumes: new Map([['v', planned.volume]]),
    usedSince: () => undefined,
    isUnreadable: () => false,
    ...parts
  }
}
const changed: object = { changed: expect.any(String) }

test('what is as it was may go', () => {
  expect(recheckContainer(planned.container, look())).toBeUndefined()
  expect(recheckNetwork(planned.network, look())).toBeUndefined()
  expect(recheckImage(planned.image, look(), [], [])).toBeUndefined()
  expect(recheckVolume(planned.volume, look())).toBeUndefined()
})

test('what is not there is gone', () => {
  expect(
    recheckContainer(planned.container, look({ containers: new Map() }))
  ).toBe('gone')
  expect(recheckNetwork(planned.network, look({ networks: new Map() }))).toBe(
    'gone'
  )
  expect(recheckImage(planned.image, look({ images: new Map() }), [], [])).toBe(
    'gone'
  )
  expect(recheckVolume(planned.volume, look({ volumes: new Map() }))).toBe(
    'gone'
  )
})

test.each([{ state: 'running' }, { startedAt: now }, { finishedAt: now }])(
  'a container that was used: %j',
  (parts) => {
    const containers = new Map([['c', container('c', parts)]])
    expect(recheckContainer(planned.container, look({ containers }))).toEqual(
      changed
    )
  }
)

test.each([
  ['running', {}, true],
  ['running', { state: 'exited', finishedAt: now }, true],
  ['running', { state: 'dead', finishedAt: now }, true],
  // Started with --rm, it is removed by the engine.
  ['running', { state: 'removing' }, true],
  ['running', { state: 'paused' }, false],
  ['running', { startedAt: now }, false],
  ['running', { state: 'exited', startedAt: now, finishedAt: now }, false],
  ['paused', {}, true],
  ['paused', { state: 'running' }, false],
  // The engine starts it again and again.
  ['restarting', { state: 'running', startedAt: now }, true],
  ['restarting', { startedAt: now, finishedAt: now }, true],
  ['restarting', { state: 'exited', startedAt: now }, true],
  ['restarting', { state: 'paused' }, false],
  ['exited', { state: 'running', startedAt: now }, false]
])('one that is to be stopped was %s, and now: %j', (state, parts, same) => {
  const stopping = container('c', { state })
  const containers = new Map([['c', { ...stopping, ...parts }]])
  const change = recheckContainer(stopping, look({ containers }), true)
  if (same) expect(change).toBeUndefined()
  else expect(change).toEqual(changed)
})

test('what a container needs by now has changed', () => {
  const came = container('new', {
    state: 'created',
    image: 'sha256:i',
    networks: ['name-of-n'],
    volumes: ['v'],
    joins: ['name-of-c']
  })
  expect(recheckContainer(planned.container, look({}, [came]))).toEqual(changed)
  expect(recheckNetwork(planned.network, look({}, [came]))).toEqual(changed)
  expect(recheckImage(planned.image, look({}, [came]), [], [])).toEqual(changed)
  expect(recheckVolume(planned.volume, look({}, [came]))).toEqual(changed)
})

test.each([
  [
    'another tag',
    { references: [...planned.image.references, 'app:3'] },
    [],
    false
  ],
  ['a tag less', { references: ['app:1'] }, [], false],
  ['a later tag', { taggedAt: now + 1 }, [], false],
  [
    'less what was taken off',
    { references: ['app:1', 'app@sha256:f', 'web:1'], taggedAt: undefined },
    ['app:2'],
    true
  ],
  [
    'less what was taken off and its digests',
    { references: ['web:1'] },
    ['app:1', 'app:2'],
    true
  ],
  ['a tag that was taken off and came again', {}, ['app:2'], false],
  [
    'another tag after one was taken off',
    { references: ['app:1', 'app:3'] },
    ['app:2'],
    false
  ]
])('an image with %s', (_, parts, takenOff, same) => {
  const images = new Map([['sha256:i', { ...planned.image, ...parts }]])
  const change = recheckImage(planned.image, look({ images }), takenOff, [])
  if (same) expect(change).toBeUndefined()
  else expect(change).toEqual(changed)
})

test('an image of which a child is left', () => {
  expect(recheckImage(planned.image, look(), [], [image('child')])).toEqual({
    changed: 'parent of child'
  })
})

test('a volume that was made anew under its name', () => {
  const volumes = new Map([['v', volume('v', { createdAt: now })]])
  expect(recheckVolume(planned.volume, look({ volumes }))).toEqual(changed)
})
