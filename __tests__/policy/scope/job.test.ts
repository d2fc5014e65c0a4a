import { expect, test } from '@jest/globals'
import type { EngineContents } from '../../../src/model/policy.ts'
import {
  container,
  decisionOf,
  held,
  image,
  minute,
  network,
  now,
  volume
} from '../../builders.ts'

/** A policy with scope job: the snapshot before the job, and no age limit. */
const after = (before: Partial<EngineContents> = {}) => ({
  scope: { kind: 'job' as const, before: held(before) },
  until: { duration: 0 }
})

const outOfScope = { action: 'keep', reason: 'out-of-scope' }
const removed = { action: 'remove', reason: 'job' }
const digest = `sha256:${'d'.repeat(64)}`

test.each([
  ['new', ['app:1'], {}, removed],
  [
    'new, with an existing name',
    ['app:1'],
    { references: ['app:1'] },
    outOfScope
  ],
  [
    'new, with an existing and a new name',
    ['app:1', 'app:2'],
    { references: ['app:1'] },
    { action: 'untag', reason: 'job', removedReferences: ['app:2'] }
  ],
  [
    'new, with an existing name in long form',
    ['docker.io/library/app:1'],
    { references: ['app:1'] },
    outOfScope
  ],
  [
    'new, with the digest of an existing name',
    ['app:1', `app@${digest}`],
    { references: ['app:1'] },
    outOfScope
  ],
  [
    'new, with the digest of another name',
    ['app:1', `mirror/app@${digest}`],
    { references: ['app:1'] },
    { action: 'untag', removedReferences: [`mirror/app@${digest}`] }
  ],
  ['new and dangling', [], {}, removed],
  ['old', ['app:1'], { images: ['i'], references: ['app:1'] }, outOfScope],
  ['old and dangling', [], { images: ['i'] }, outOfScope],
  [
    'old, with a new name',
    ['app:1', 'app:2'],
    { images: ['i'], references: ['app:1'] },
    { action: 'untag', reason: 'job', removedReferences: ['app:2'] }
  ],
  // The engine would remove the digest with the last tag of its repository, and delete the image.
  [
    'old by digest only, with a new tag in that repository',
    ['app:2', `app@${digest}`],
    { images: ['i'], references: [`app@${digest}`] },
    outOfScope
  ],
  [
    'old by digest only, with a new tag in another repository',
    ['mirror/app:1', `app@${digest}`],
    { images: ['i'], references: [`app@${digest}`] },
    { action: 'untag', removedReferences: ['mirror/app:1'] }
  ],
  [
    'old by digest and tag, with a new tag',
    ['app:1', 'app:2', `app@${digest}`],
    { images: ['i'], references: ['app:1', `app@${digest}`] },
    { action: 'untag', removedReferences: ['app:2'] }
  ],
  // The engine would delete the image with its last name.
  ['old, with new names only', ['app:2'], { images: ['i'] }, outOfScope],
  [
    'old, and pushed since',
    ['app:1', `app@${digest}`],
    { images: ['i'], references: ['app:1'] },
    outOfScope
  ]
])('an image that is %s', (_, references, before, expected) => {
  const sets: Partial<EngineContents> = Object.fromEntries(
    Object.entries(before).map(([kind, names]) => [kind, new Set(names)])
  )
  const images = [image('i', { references })]
  expect(decisionOf('i', { images }, after(sets))).toMatchObject(expected)
})

test('new containers, networks and volumes are removed, even if running; old ones are kept', () => {
  const things = {
    containers: [
      container('old'),
      container('new'),
      container('server', { state: 'running' })
    ],
    networks: [network('net'), network('net-new')],
    volumes: [volume('data'), volume('data-new')]
  }
  const before = {
    containers: new Set(['old']),
    networks: new Set(['net']),
    volumes: new Set(['data'])
  }
  for (const id of ['old', 'net', 'data'])
    expect(decisionOf(id, things, after(before))).toMatchObject(outOfScope)
  for (const id of ['new', 'net-new', 'data-new'])
    expect(decisionOf(id, things, after(before))).toEqual({
      ...removed,
      detail: 'new since the job began'
    })
  expect(decisionOf('server', things, after(before))).toMatchObject({
    ...removed,
    stop: true
  })
})

test('resources recreated under an existing name and swarm tasks are kept', () => {
  const task = { 'com.docker.swarm.task.id': 'x' }
  const things = {
    containers: [
      container('new', { name: 'db', state: 'running' }),
      container('task', { labels: task, state: 'running' })
    ],
    networks: [network('net-new')]
  }
  const name = things.networks[0]?.name ?? ''
  const before = { names: new Set(['db', name]) }
  for (const id of ['new', 'task', 'net-new'])
    expect(decisionOf(id, things, after(before))).toMatchObject(outOfScope)
})

test('new resources can be protected', () => {
  const fresh = now - minute
  const images = [
    image('used', { references: ['app:1'] }),
    image('labelled', { labels: { keep: '' } }),
    image('named', { references: ['node:20'] }),
    image('runner’s', {
      references: [`0123ab:${'0'.repeat(32)}`],
      createdAt: fresh
    }),
    image('child', { references: ['base:1'], parent: 'parent' }),
    image('parent')
  ]
  const things = {
    images,
    containers: [
      container('kept', { image: 'used', labels: { keep: '' }, volumes: ['v'] })
    ],
    volumes: [volume('v'), volume('named volume')]
  }
  const policy = {
    ...after({ references: new Set(['base:1']) }),
    protectedLabels: [{ key: 'keep', value: undefined }],
    protectedImages: ['node'],
    includeVolumes: 'anonymous' as const
  }
  for (const [id, reason] of [
    ['used', 'in-use'],
    ['labelled', 'protected-label'],
    ['named', 'protected-image'],
    ['runner’s', 'runner-owned'],
    ['parent', 'in-use'],
    ['kept', 'protected-label'],
    ['v', 'in-use'],
    ['named volume', 'named-volume']
  ] as const)
    expect(decisionOf(id, things, policy)).toMatchObject({
      action: 'keep',
      reason
    })
})

test('without a snapshot, everything is kept', () => {
  const things = {
    images: [image('i', { references: ['app:1'] }), image('dangling')],
    containers: [container('c', { state: 'running' })],
    networks: [network('n')],
    volumes: [volume('v')]
  }
  const scope = { kind: 'job' as const, before: undefined }
  for (const id of ['i', 'dangling', 'c', 'n', 'v', 'build-cache'])
    expect(
      decisionOf(id, things, { scope, until: { duration: 0 } })
    ).toMatchObject(outOfScope)
})
