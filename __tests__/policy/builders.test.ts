import { expect, test } from '@jest/globals'
import { findBuilders, sizesOfBuilders } from '../../src/model/builders.ts'
import type { Container, Inventory } from '../../src/model/inventory.ts'
import { makePlan } from '../../src/policy/plan.ts'
import type { Policy } from '../../src/model/policy.ts'
import {
  container,
  day,
  hour,
  image,
  inventory,
  minute,
  now,
  policy,
  volume
} from '../builders.ts'

const name = 'buildx_buildkit_b0'
const state = volume(`${name}_state`)
const ago = (milliseconds: number) => now - milliseconds

const builder = (parts: Partial<Container> = {}) =>
  container('b', { name, volumes: [state.name], ...parts })
const running = (parts: Partial<Container> = {}) =>
  builder({ state: 'running', ...parts })

function planFor(held: Partial<Inventory>, wanted: Partial<Policy> = {}) {
  return makePlan(inventory({ volumes: [state], ...held }), policy(wanted))
}

/** Returns the decision for the only builder in the plan. */
function decisionOf(held: Partial<Inventory>, wanted: Partial<Policy> = {}) {
  const { items } = planFor(held, wanted)
  const [item, ...more] = items.filter(({ kind }) => kind === 'builder')
  expect(more).toEqual([])
  return item?.decision
}
const removed = { action: 'remove', reason: 'expired' }

test('a builder and its state are one resource, whatever the other include inputs say', () => {
  const wanted = {
    includeContainers: false,
    includeVolumes: 'none',
    includeBuilders: 'stopped'
  } as const
  const { items } = planFor({ containers: [builder()] }, wanted)
  expect(items.filter(({ kind }) => kind !== 'build-cache')).toMatchObject([
    { kind: 'builder', id: 'b', name, volume: state.name, decision: removed }
  ])
  const { items: kept } = planFor(
    { containers: [builder()] },
    { includeBuilders: 'none' }
  )
  expect(kept.filter(({ kind }) => kind !== 'build-cache')).toMatchObject([
    { kind: 'builder', decision: { action: 'keep', reason: 'not-included' } }
  ])
})

test.each([
  ['buildx_buildkit_builder-0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f00', 'builder'],
  ['buildx_buildkit_my.node_1', 'builder'],
  ['buildx_buildkit_b0_state', 'builder'],
  ['buildx_buildkit-b0', 'container'],
  ['buildx_buildkit_', 'container'],
  // buildx does not allow such node names.
  ['buildx_buildkit_0', 'container'],
  ['buildx_buildkit_B0', 'container'],
  ['my_buildx_buildkit_b0', 'container']
])('a container named %s is a %s', (name, kind) => {
  const containers = [container('c', { name })]
  const { items } = planFor({ containers, volumes: [] })
  expect(items[0]?.kind).toBe(kind)
  const volumes = [volume(`${name}_state`)]
  expect(planFor({ containers: [], volumes }).items[0]?.kind).toBe(
    kind === 'builder' ? 'builder' : 'volume'
  )
})

test.each<[string, Partial<Container>, string, string, string]>([
  ['stopped', {}, 'none', 'keep', 'not-included'],
  ['stopped', {}, 'stopped', 'remove', 'expired'],
  ['stopped', {}, 'all', 'remove', 'expired'],
  ['dead', { state: 'dead' }, 'stopped', 'remove', 'expired'],
  ['running', { state: 'running' }, 'none', 'keep', 'not-included'],
  ['running', { state: 'running' }, 'stopped', 'keep', 'not-included'],
  ['running', { state: 'running' }, 'all', 'remove', 'expired'],
  [
    'running with a client',
    { state: 'running', execs: ['process'] },
    'all',
    'keep',
    'in-use'
  ],
  [
    'running, and its clients are unknown',
    { state: 'running', execs: undefined },
    'all',
    'keep',
    'in-use'
  ],
  ['paused', { state: 'paused' }, 'all', 'keep', 'in-use'],
  ['restarting', { state: 'restarting' }, 'all', 'keep', 'in-use']
])(
  'a builder that is %s (%j), with include-builders %s',
  (_, parts, guard, action, reason) => {
    for (const duration of [0, hour])
      expect(
        decisionOf(
          { containers: [builder(parts)] },
          {
            includeBuilders: guard as Policy['includeBuilders'],
            until: { duration }
          }
        )
      ).toMatchObject({ action, reason })
  }
)

test('the age of a stopped builder counts from its end, that of a running one from its start, whatever age-from is', () => {
  const ended = builder({ finishedAt: ago(59 * minute) })
  expect(decisionOf({ containers: [ended] })).toMatchObject({
    reason: 'recent',
    detail: 'exited 59 min ago'
  })
  const started = running({ startedAt: ago(59 * minute) })
  for (const ageFrom of ['last-used', 'created'] as const)
    expect(decisionOf({ containers: [started] }, { ageFrom })).toMatchObject({
      reason: 'recent',
      detail: 'started 59 min ago'
    })
  // The end of an earlier run does not matter.
  const longAgo = running({ startedAt: ago(2 * hour), finishedAt: ago(day) })
  expect(decisionOf({ containers: [longAgo] })).toMatchObject({
    ...removed,
    detail: 'started 2 h ago; running without a client, stopped first',
    stop: true
  })
  const never = builder({
    state: 'created',
    startedAt: undefined,
    finishedAt: undefined,
    createdAt: ago(9 * minute)
  })
  expect(
    decisionOf({ containers: [never] }, { until: { duration: minute } })
  ).toMatchObject({ reason: 'recent' })
  expect(
    decisionOf({ containers: [running({ startedAt: undefined })] })
  ).toMatchObject({ reason: 'unknown-age' })
})

test('the event log shows when a builder last had a client', () => {
  const action = 'exec_start: buildctl dial-stdio'
  const events = [
    { at: ago(5 * minute), type: 'container', action, id: 'b', image: '' }
  ]
  expect(decisionOf({ containers: [running()], events })).toMatchObject({
    reason: 'recent',
    detail: 'used by a client 5 min ago'
  })
  // An exec in any other container is not a use.
  const containers = [container('b', { volumes: [state.name] })]
  expect(planFor({ containers, events }).items[0]?.decision).toMatchObject(
    removed
  )
})

test.each([
  ['its container', { labels: { keep: '' } }, {}],
  ['its state volume', {}, { labels: { keep: '' } }]
])('a protected label on %s protects a builder', (_, parts, ofState) => {
  const held = {
    containers: [builder(parts)],
    volumes: [{ ...state, ...ofState }]
  }
  const protectedLabels = [{ key: 'keep', value: undefined }]
  expect(decisionOf(held, { protectedLabels })).toMatchObject({
    action: 'keep',
    reason: 'protected-label'
  })
  expect(decisionOf(held)).toMatchObject(removed)
})

test.each([
  [{ driver: 'nfs' }, 'volume driver nfs: data may be stored elsewhere'],
  [
    { options: { device: '/srv' } },
    'volume with driver options: data may be stored elsewhere'
  ]
])(
  'a builder whose state is stored elsewhere is kept, and so is such leftover state: %j',
  (parts, detail) => {
    for (const containers of [[builder()], []])
      expect(
        decisionOf({ containers, volumes: [{ ...state, ...parts }] })
      ).toMatchObject({
        ...{ action: 'keep', reason: 'not-included', detail },
        input: null
      })
  }
)

test('a builder is kept while a kept container uses its state or joins it', () => {
  for (const uses of [
    { volumes: [state.name] },
    { binds: [`${state.mountpoint}/runc-overlayfs`] },
    { joins: [name] }
  ]) {
    const decide = (state: string) =>
      decisionOf({
        containers: [builder(), container('user', { ...uses, state })]
      })
    expect(decide('running')).toMatchObject({
      action: 'keep',
      reason: 'in-use',
      detail: 'used by container name-of-user (running)'
    })
    expect(decide('exited')).toMatchObject(removed)
  }
})

test('a builder’s image and the container it joins are kept or removed together with it', () => {
  const held = {
    containers: [
      running({ joins: ['base'], image: 'sha256:1' }),
      container('base')
    ],
    images: [image('sha256:1', { references: ['moby/buildkit:buildx'] })]
  }
  const actions = (includeBuilders: 'stopped' | 'all') => {
    const { items } = planFor(held, { includeBuilders })
    return ['b', 'base', 'sha256:1'].map(
      (id) => items.find((one) => one.id === id)?.decision.action
    )
  }
  expect(actions('stopped')).toEqual(['keep', 'keep', 'keep'])
  expect(actions('all')).toEqual(['remove', 'remove', 'remove'])
})

test('leftover state is removed like a named volume: once unused and watched for until', () => {
  const decide = (since: number | undefined, held: Partial<Inventory> = {}) =>
    decisionOf({
      ...held,
      ledger:
        since === undefined ? [] : [{ id: state.name, since, arrived: false }]
    })
  expect(decide(ago(hour))).toMatchObject({
    ...removed,
    detail: 'container already removed; created 30 days ago'
  })
  expect(decide(ago(59 * minute))).toMatchObject({ reason: 'unknown-age' })
  expect(decide(undefined)).toMatchObject({ reason: 'unknown-age' })
  const event = { at: ago(minute), type: 'volume', action: 'unmount' }
  const events = [{ ...event, id: state.name, image: '' }]
  expect(decide(ago(day), { events })).toMatchObject({ reason: 'recent' })
  const user = container('user', { state: 'running', volumes: [state.name] })
  expect(decide(ago(day), { containers: [user] })).toMatchObject({
    reason: 'in-use'
  })
  expect(decisionOf({}, { until: { duration: 0 } })).toMatchObject(removed)
  expect(
    decisionOf({}, { until: { duration: 0 }, includeBuilders: 'none' })
  ).toMatchObject({ reason: 'not-included' })
})

test('builders do not belong to pull requests', () => {
  const scope = {
    kind: 'pull-request',
    repository: 'acme/web',
    numbers: new Map([[1, 'closed' as const]]),
    patterns: ['pr-{number}']
  } as const
  const until = { duration: 0 }
  // Neither by name nor by image or Compose project.
  const ofOne = running({
    imageReference: 'acme/web:pr-1',
    labels: { 'com.docker.compose.project': 'acme-web-1' }
  })
  for (const containers of [[ofOne], [builder()], []])
    expect(decisionOf({ containers }, { scope, until })).toMatchObject({
      action: 'keep',
      reason: 'out-of-scope'
    })
})

test('the size of a builder is its written data plus its state, if both are known', () => {
  const builders = findBuilders({
    containers: [builder(), running({ id: 'bare', name: `${name}0` })],
    volumes: [state, volume('buildx_buildkit_gone_state')]
  })
  const volumes = new Map([
    [state.name, 30],
    ['buildx_buildkit_gone_state', 500]
  ])
  const containers = new Map([
    ['b', 4],
    ['bare', 7]
  ])
  expect([...sizesOfBuilders(builders, { containers, volumes })]).toEqual([
    ['b', 34],
    ['bare', 7],
    ['buildx_buildkit_gone_state', 500]
  ])
  const nothing = new Map<string, number>()
  expect([
    ...sizesOfBuilders(builders, { containers, volumes: nothing })
  ]).toEqual([['bare', 7]])
  expect([
    ...sizesOfBuilders(builders, { containers: nothing, volumes })
  ]).toEqual([['buildx_buildkit_gone_state', 500]])
})

test('on Podman, builders are kept', () => {
  const engine = { ...inventory().engine, kind: 'podman' } as const
  for (const containers of [[builder()], [running()], []])
    expect(
      decisionOf({ engine, containers }, { until: { duration: 0 } })
    ).toMatchObject({ action: 'keep', reason: 'not-included' })
})
