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

/** The scope of a job before which this was there; age is not asked for. */
const after = (before: Partial<EngineContents> = {}) => ({
  scope: { kind: 'job' as const, before: held(before) },
  until: { duration: 0 }
})

const there = { action: 'keep', reason: 'out-of-scope' }
const goes = { action: 'remove', reason: 'job' }
const digest = `sha256:${'d'.repeat(64)}`

test.each([
  ['new', ['app:1'], {}, goes],
  [
    'new, with a name that was there',
    ['app:1'],
    { references: ['app:1'] },
    there
  ],
  [
    'new, with one such name and another',
    ['app:1', 'app:2'],
    { references: ['app:1'] },
    { action: 'untag', reason: 'job', removedReferences: ['app:2'] }
  ],
  [
    'new, with the name of one that was there in a longer form',
    ['docker.io/library/app:1'],
    { references: ['app:1'] },
    there
  ],
  [
    'new, with the digest of a name that was there',
    ['app:1', `app@${digest}`],
    { references: ['app:1'] },
    there
  ],
  [
    'new, with the digest of another name',
    ['app:1', `mirror/app@${digest}`],
    { references: ['app:1'] },
    { action: 'untag', removedReferences: [`mirror/app@${digest}`] }
  ],
  ['new and dangling', [], {}, goes],
  ['there before', ['app:1'], { images: ['i'], references: ['app:1'] }, there],
  ['there before and dangling', [], { images: ['i'] }, there],
  [
    'there before, with a new name',
    ['app:1', 'app:2'],
    { images: ['i'], references: ['app:1'] },
    { action: 'untag', reason: 'job', removedReferences: ['app:2'] }
  ],
  // The engine would take the digest along with the last tag of its name, and delete it.
  [
    'there before by its digest alone, with a new name for that',
    ['app:2', `app@${digest}`],
    { images: ['i'], references: [`app@${digest}`] },
    there
  ],
  [
    'there before by its digest alone, with a new name elsewhere',
    ['mirror/app:1', `app@${digest}`],
    { images: ['i'], references: [`app@${digest}`] },
    { action: 'untag', removedReferences: ['mirror/app:1'] }
  ],
  [
    'there before by its digest and a tag, with a new one',
    ['app:1', 'app:2', `app@${digest}`],
    { images: ['i'], references: ['app:1', `app@${digest}`] },
    { action: 'untag', removedReferences: ['app:2'] }
  ],
  // The engine would delete it with its last name.
  ['there before, with new names alone', ['app:2'], { images: ['i'] }, there],
  [
    'there before, and pushed since',
    ['app:1', `app@${digest}`],
    { images: ['i'], references: ['app:1'] },
    there
  ]
])('an image that is %s', (_, references, before, expected) => {
  const sets: Partial<EngineContents> = Object.fromEntries(
    Object.entries(before).map(([kind, names]) => [kind, new Set(names)])
  )
  const images = [image('i', { references })]
  expect(decisionOf('i', { images }, after(sets))).toMatchObject(expected)
})

test('containers, networks and volumes that came go, also those that run; those that were there stay', () => {
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
    expect(decisionOf(id, things, after(before))).toMatchObject(there)
  for (const id of ['new', 'net-new', 'data-new'])
    expect(decisionOf(id, things, after(before))).toEqual({
      ...goes,
      detail: 'it came since the job began'
    })
  expect(decisionOf('server', things, after(before))).toMatchObject({
    ...goes,
    stop: true
  })
})

test('what was made anew under a name that was there stays, and what a swarm makes', () => {
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
    expect(decisionOf(id, things, after(before))).toMatchObject(there)
})

test('the rules of protection hold for what came, too', () => {
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

test('where nobody knows what was there before, all stays', () => {
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
    ).toMatchObject(there)
})
