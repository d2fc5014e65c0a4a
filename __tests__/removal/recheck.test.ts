import { expect, test } from '@jest/globals'
import type { Container, Image } from '../../src/model/inventory.ts'
import { needsOf } from '../../src/model/needs.ts'
import {
  recheckBuilder,
  recheckContainer,
  recheckImage,
  recheckNetwork,
  recheckVolume
} from '../../src/removal/recheck.ts'
import type { SecondLook } from '../../src/removal/secondLook.ts'
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
    stranger: undefined,
    ...parts
  }
}
const changed: object = { changed: expect.any(String) }

test('unchanged resources may be removed', () => {
  expect(recheckContainer(planned.container, look())).toBeUndefined()
  expect(recheckNetwork(planned.network, look())).toBeUndefined()
  expect(recheckImage(planned.image, look(), [], [])).toBeUndefined()
  expect(recheckVolume(planned.volume, look())).toBeUndefined()
})

test('for an image remembered from an earlier run, only new labels and tags since the inventory count', () => {
  const remembered = { ...planned.image, taggedAt: now - 9, remembered: true }
  const check = (current: Partial<Image>) => {
    const images = new Map([['sha256:i', { ...planned.image, ...current }]])
    return recheckImage(remembered, look({ images }), [], [])
  }
  expect(check({ taggedAt: now })).toBeUndefined()
  expect(check({ taggedAt: now + 1 })).toEqual(changed)
  expect(check({ labels: { keep: '' } })).toEqual(changed)
})

test('missing resources are gone', () => {
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
  'a used container has changed: %j',
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
  // Started with --rm: the engine removes it.
  ['running', { state: 'removing' }, true],
  ['running', { state: 'paused' }, false],
  ['running', { startedAt: now }, false],
  ['running', { startedAt: now, restarts: 1 }, false],
  // The engine keeps restarting it.
  ['running', { startedAt: now, finishedAt: now, restarts: 3 }, true],
  ['running', { state: 'restarting', finishedAt: now, restarts: 3 }, true],
  ['running', { state: 'stopped', finishedAt: now }, true],
  ['running', { state: 'exited', startedAt: now, restarts: 3 }, true],
  ['running', { state: 'paused', startedAt: now, restarts: 3 }, false],
  ['stopped', { state: 'running', startedAt: now, restarts: 3 }, true],
  ['stopped', { state: 'running', startedAt: now }, false],
  ['running', { state: 'exited', startedAt: now, finishedAt: now }, false],
  ['paused', {}, true],
  ['paused', { state: 'running' }, false],
  ['paused', { state: 'exited', finishedAt: now }, true],
  ['paused', { state: 'exited', startedAt: now, restarts: 3 }, false],
  ['restarting', { state: 'running', startedAt: now }, true],
  ['restarting', { state: 'running', startedAt: now, restarts: 1 }, false],
  ['restarting', { startedAt: now, finishedAt: now }, true],
  ['restarting', { state: 'exited', startedAt: now }, true],
  ['restarting', { state: 'paused' }, false]
])('a container to stop was %s and is now: %j', (state, parts, same) => {
  const stopping = container('c', { state, restarts: 2 })
  const containers = new Map([['c', { ...stopping, ...parts }]])
  const change = recheckContainer(stopping, look({ containers }), true)
  if (same) expect(change).toBeUndefined()
  else expect(change).toEqual(changed)
})

test.each([
  // It waits for its first restart.
  ['running', { state: 'restarting' }, true],
  ['stopped', { state: 'running', startedAt: now }, true],
  // Either it failed, or somebody started it and it failed then.
  ['running', { state: 'running', startedAt: now }, false]
])(
  'a container that was %s and failed once is now: %j',
  (state, parts, same) => {
    const stopping = container('c', { state })
    const current = { ...stopping, ...parts, finishedAt: now, restarts: 1 }
    const containers = new Map([['c', current]])
    const change = recheckContainer(stopping, look({ containers }), true)
    expect(change).toEqual(same ? undefined : changed)
  }
)

test('resources that a new container needs have changed', () => {
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
  ['a missing tag', { references: ['app:1'] }, [], false],
  ['a later tag', { taggedAt: now + 1 }, [], false],
  [
    'a missing tag that we untagged',
    { references: ['app:1', 'app@sha256:f', 'web:1'], taggedAt: undefined },
    ['app:2'],
    true
  ],
  [
    'missing tags and digests that we untagged',
    { references: ['web:1'] },
    ['app:1', 'app:2'],
    true
  ],
  ['a tag that we untagged and that is back', {}, ['app:2'], false],
  [
    'another tag after we untagged one',
    { references: ['app:1', 'app:3'] },
    ['app:2'],
    false
  ]
])('an image with %s', (_, parts, untagged, same) => {
  const images = new Map([['sha256:i', { ...planned.image, ...parts }]])
  const change = recheckImage(planned.image, look({ images }), untagged, [])
  if (same) expect(change).toBeUndefined()
  else expect(change).toEqual(changed)
})

test('an image with a remaining child has changed', () => {
  expect(recheckImage(planned.image, look(), [], [image('child')])).toEqual({
    changed: 'parent of image child'
  })
})

const state = volume('buildx_buildkit_b0_state')
const ofBuilder = container('b', {
  name: 'buildx_buildkit_b0',
  state: 'running',
  volumes: [state.name]
})
const builder = {
  id: 'b',
  name: ofBuilder.name,
  container: ofBuilder,
  volume: state
}
const left = { ...builder, id: state.name, container: undefined }

function lookAtBuilder(
  parts: Partial<Container> | undefined,
  more: Partial<SecondLook> = {},
  others: Container[] = []
): SecondLook {
  const own = parts ? [{ ...ofBuilder, ...parts }] : []
  const there = [...own, ...others]
  return look({
    needs: needsOf(there, { containers: there, images: [] }),
    containers: new Map(there.map((one) => [one.id, one])),
    volumes: new Map([[state.name, state]]),
    ...more
  })
}

test('an unchanged builder may be removed, and so may leftover state', () => {
  expect(recheckBuilder(builder, lookAtBuilder({}))).toBeUndefined()
  const bare = { ...builder, volume: undefined }
  expect(recheckBuilder(bare, lookAtBuilder({}))).toBeUndefined()
  expect(recheckBuilder(left, lookAtBuilder(undefined))).toBeUndefined()
  // A missing volume is no obstacle.
  const volumes = new Map<string, never>()
  expect(recheckBuilder(builder, lookAtBuilder({}, { volumes }))).toBe(
    undefined
  )
})

test('a builder is gone only if both its container and its volume are gone', () => {
  const volumes = new Map<string, never>()
  const nothing = lookAtBuilder(undefined, { volumes })
  expect(recheckBuilder(builder, nothing)).toBe('gone')
  expect(recheckBuilder(left, nothing)).toBe('gone')
  expect(recheckBuilder(builder, lookAtBuilder(undefined))).toEqual({
    changed: 'container removed since the inventory was taken'
  })
})

const user = container('user', { volumes: [state.name] })
test.each<[string, SecondLook]>([
  ['was restarted', lookAtBuilder({ startedAt: now })],
  ['was stopped', lookAtBuilder({ state: 'exited' })],
  ['has a client', lookAtBuilder({ execs: ['process'] })],
  ['does not list its clients', lookAtBuilder({ execs: undefined })],
  [
    'had a client since the inventory',
    lookAtBuilder(
      {},
      { usedSince: (id) => (id === 'b' ? 'used by a client' : undefined) }
    )
  ],
  ['has a volume with another user', lookAtBuilder({}, {}, [user])],
  [
    'has a volume that was mounted since the inventory',
    lookAtBuilder(
      {},
      { usedSince: (id) => (id === state.name ? 'mounted' : undefined) }
    )
  ],
  [
    'has a recreated volume',
    lookAtBuilder(
      {},
      { volumes: new Map([[state.name, { ...state, createdAt: now }]]) }
    )
  ],
  [
    'has a volume that cannot be inspected',
    lookAtBuilder({}, { isUnreadable: (id) => id === state.name })
  ],
  [
    'was joined by another container',
    lookAtBuilder({}, {}, [container('side', { joins: ['b'] })])
  ]
])('a builder that %s has changed', (_, seen) => {
  expect(recheckBuilder(builder, seen)).toEqual(changed)
})

test('leftover state has changed if its builder is back or another container uses it', () => {
  expect(recheckBuilder(left, lookAtBuilder({}))).toEqual(changed)
  expect(recheckBuilder(left, lookAtBuilder(undefined, {}, [user]))).toEqual(
    changed
  )
})

test('a recreated volume has changed', () => {
  const volumes = new Map([['v', volume('v', { createdAt: now })]])
  expect(recheckVolume(planned.volume, look({ volumes }))).toEqual(changed)
})
