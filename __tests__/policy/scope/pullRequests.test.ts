import { expect, test } from '@jest/globals'
import type {
  Container,
  Image,
  Inventory
} from '../../../src/model/inventory.ts'
import type { Policy } from '../../../src/model/policy.ts'
import { problemOfPattern } from '../../../src/model/patterns.ts'
import type { PullRequests } from '../../../src/model/policy.ts'
import { findNumbers } from '../../../src/policy/scope/pullRequestNumbers.ts'
import {
  cacheRecord,
  container,
  decisionOf,
  hour,
  image,
  inventory,
  network,
  now,
  pullRequests,
  volume
} from '../../builders.ts'

const source = 'org.opencontainers.image.source'
const version = 'org.opencontainers.image.version'
const project = 'com.docker.compose.project'

/** What becomes of something when pull request 1 of acme/web is closed, whatever its age. */
function decide(
  id: string,
  held: Partial<Inventory>,
  scope: Partial<PullRequests> = {},
  more: Partial<Policy> = {}
) {
  return decisionOf(id, held, {
    scope: pullRequests(scope),
    until: { duration: 0 },
    ...more
  })
}
const ofImage = (
  parts: Partial<Image>,
  scope?: Partial<PullRequests>,
  more?: Partial<Policy>
) => decide('i', { images: [image('i', parts)] }, scope, more)
const goes = { action: 'remove', reason: 'pull-request' }
const stays = { action: 'keep', reason: 'out-of-scope' }

test.each([
  ['acme/web:pr-1', true],
  ['acme/web:pr-1-3f2a9c', true],
  ['acme/web:app-pr-1', true],
  ['acme/web:pr-12', false],
  ['acme/web:pr-11', false],
  ['acme/web:pr-01', false],
  ['acme/web:pr-1.2', false],
  ['acme/web:pr-12-1', false],
  ['acme/web:pr-1-pr-12', false],
  ['acme/web:xpr-1', false],
  ['acme/web:PR-1', false],
  ['acme/web:main', false],
  ['acme/web:1', false],
  ['acme/web:latest', false],
  // The repository is whole parts of the path, with its owner, or without any.
  ['web:pr-1', true],
  ['localhost:5000/web:pr-1', true],
  ['ghcr.io/acme/web:pr-1', true],
  ['ghcr.io/acme/web/worker:pr-1', true],
  ['ghcr.io/mirror/acme/web:pr-1', true],
  ['web/worker:pr-1', true],
  ['docker.io/library/web:pr-1', true],
  ['localhost/web:pr-1', true],
  ['other/web:pr-1', false],
  ['ghcr.io/other/web:pr-1', false],
  ['acme/api:pr-1', false],
  ['ghcr.io/web/worker:pr-1', false],
  ['acme/web-api:pr-1', false],
  ['acme/webs:pr-1', false],
  ['acme/x/web:pr-1', false],
  ['web.example.com/api:pr-1', false],
  ['api:pr-1', false]
])('an image %s belongs: %s', (reference, belongs) => {
  expect(ofImage({ references: [reference] })).toMatchObject(
    belongs ? goes : stays
  )
})

test.each([
  ['https://github.com/acme/web', true],
  ['https://github.com/Acme/Web.git', true],
  ['https://git.example.com:8443/acme/web/', true],
  ['https://user@github.com/acme/web.git#main', true],
  ['ssh://git@github.com:22/acme/web.git', true],
  ['git@github.com:acme/web.git', true],
  ['https://github.com/acme/web-api', false],
  ['https://github.com/acme/web/tree/main', false],
  ['https://github.com/other/web', false],
  ['https://github.com/acme', false],
  ['web', false],
  ['?'.repeat(100_000), false],
  ['/'.repeat(100_000), false]
])('the source %.50s is that of the repository: %s', (url, belongs) => {
  // The label says it alone, whatever the path is.
  for (const reference of ['acme/web:pr-1', 'elsewhere/x:pr-1'])
    expect(
      ofImage({ references: [reference], labels: { [source]: url } })
    ).toMatchObject(belongs ? goes : stays)
})

test('an empty source is none: the path counts', () => {
  const labels = { [source]: '' }
  expect(ofImage({ references: ['acme/web:pr-1'], labels })).toMatchObject(goes)
  expect(ofImage({ references: ['x:pr-1'], labels })).toMatchObject(stays)
})

test('the repository may be written in capitals, as owners are', () => {
  const scope = { repository: 'Acme/Web' }
  expect(ofImage({ references: ['acme/web:pr-1'] }, scope)).toMatchObject(goes)
})

const ours = { [source]: 'https://github.com/acme/web' }

test.each([
  ['pr-1', ours, true],
  ['pr-12', ours, false],
  ['main', ours, false],
  ['', ours, false],
  ['x'.repeat(200) + '-pr-1', ours, false],
  ['9'.repeat(100_000), ours, false],
  // Nothing else says whose it is.
  ['pr-1', {}, false],
  ['pr-1', { [source]: 'https://github.com/other/web' }, false]
])(
  'an untagged image belongs by its version %.20s and its source: %#',
  (label, labels, belongs) => {
    const labelled = { labels: { ...labels, [version]: label } }
    expect(ofImage(labelled)).toMatchObject(belongs ? goes : stays)
  }
)

test('a digest belongs by the version where no tag says anything', () => {
  const digest = 'acme/web@sha256:d'
  const labels = { [version]: 'pr-1' }
  expect(ofImage({ references: [digest], labels })).toMatchObject(goes)
  expect(ofImage({ references: [digest] })).toMatchObject(stays)
  // It may be inherited: from an image of the pull request, say.
  const references = ['acme/web:main', digest]
  expect(ofImage({ references, labels })).toMatchObject(stays)
})

test.each([
  [['acme/web:pr-1', 'web:pr-1-x', 'acme/web@sha256:d'], 'all'],
  [['acme/web:pr-1', 'acme/web:main'], ['acme/web:pr-1']],
  [['acme/web:pr-1', 'acme/web:main', 'acme/web@sha256:d'], ['acme/web:pr-1']],
  [['acme/web:pr-1', 'acme/web:pr-12'], ['acme/web:pr-1']],
  [['acme/web:pr-1', 'acme/api:pr-1'], ['acme/web:pr-1']],
  [
    ['acme/web:pr-1', 'acme/web@sha256:d', 'web:main'],
    ['acme/web:pr-1', 'acme/web@sha256:d']
  ],
  [['acme/web:pr-1', 'web@sha256:d'], ['acme/web:pr-1']]
])('of an image with the references %j go %j', (references, going) => {
  expect(ofImage({ references })).toMatchObject(
    going === 'all'
      ? goes
      : {
          action: 'untag',
          reason: 'pull-request',
          removedReferences: going
        }
  )
})

test('age and keep-last hold where they are given', () => {
  const young = {
    references: ['acme/web:pr-1', 'acme/web:main'],
    createdAt: now
  }
  expect(ofImage(young)).toMatchObject({ action: 'untag' })
  expect(ofImage(young, {}, { until: { duration: hour } })).toMatchObject({
    action: 'keep',
    reason: 'recent'
  })
  expect(ofImage(young, {}, { keepLast: 1 })).toMatchObject({
    action: 'keep',
    reason: 'keep-last'
  })
})

test.each([
  ['protected-label', { labels: { keep: '' } }, {}],
  ['protected-image', {}, { protectedImages: ['acme/web:main'] }],
  ['not-included', {}, { includeImages: false }],
  ['not-included', {}, { includeImages: 'dangling' as const }]
])('of what belongs, %s still holds', (reason, parts, more) => {
  const references = ['acme/web:pr-1', 'acme/web:main']
  expect(
    ofImage(
      { references, ...parts },
      {},
      { protectedLabels: [{ key: 'keep', value: undefined }], ...more }
    )
  ).toMatchObject({ action: 'keep', reason })
})

const ofContainer = (
  parts: Partial<Container>,
  images: Image[] = [],
  more: Partial<Policy> = {}
) => decide('c', { containers: [container('c', parts)], images }, {}, more)

test.each([
  ['acme/web:pr-1', {}, true],
  ['acme/web:pr-1@sha256:d', {}, true],
  ['acme/web:pr-12', {}, false],
  ['acme/api:pr-1', {}, false],
  ['acme/web', {}, false],
  ['acme/web:latest', {}, false],
  // Another owner's, whose project is called the same.
  ['ghcr.io/other/web:pr-1', { [project]: 'web-pr-1' }, false],
  ['x:pr-1', ours, true],
  ['acme/web:pr-1', { [source]: 'https://github.com/other/web' }, false],
  ['postgres:16', { [project]: 'web-pr-1' }, true],
  ['postgres:16', { [project]: 'acme-web-pr-1' }, true],
  ['postgres:16', { [project]: 'acme_web_pr-1' }, true],
  ['postgres:16', { [project]: 'pr-1-web' }, true],
  ['postgres:16', { [project]: 'pr-1_acme-web' }, true],
  ['postgres:16', { [project]: 'web-pr-12' }, false],
  ['postgres:16', { [project]: 'web-pr-1-db' }, false],
  ['postgres:16', { [project]: 'pr-1' }, false],
  ['postgres:16', { [project]: 'web' }, false],
  ['postgres:16', { [project]: 'web-1' }, false],
  ['postgres:16', { [project]: 'other-web-pr-1' }, false],
  ['postgres:16', { [project]: 'web-api-pr-1' }, false],
  ['postgres:16', { [project]: 'api-pr-1' }, false],
  // It is of both.
  ['acme/web:pr-1', { [project]: 'web-pr-12' }, false],
  ['acme/web:pr-12', { [project]: 'web-pr-1' }, false],
  // The owner's name tells it from others that are called the same.
  ['ghcr.io/acme/api:pr-7', { [project]: 'acme-web-pr-1' }, true],
  ['ghcr.io/acme/api:pr-7', { [project]: 'web-pr-1' }, false],
  // What looks like owner and repository is the name of another one.
  ['ghcr.io/other/acme-web:pr-1', { [project]: 'acme-web-pr-1' }, false],
  [
    'preview:pr-1',
    {
      [project]: 'acme-web-pr-1',
      [source]: 'https://github.com/other/acme-web'
    },
    false
  ]
])('a container of %s with labels %j belongs: %s', (name, labels, belongs) => {
  const parts = { image: 'i', imageReference: name, labels }
  expect(ofContainer(parts, [image('i')])).toMatchObject(belongs ? goes : stays)
})

test.each([
  // Compose drops what it does not take.
  ['siteio-pr-1', true],
  ['site-io-pr-1', true],
  ['acme-siteio-pr-1', true],
  ['acme_site-io_pr-1', true],
  ['site-pr-1', false],
  ['io-pr-1', false]
])('the project %s is of acme/.Site.io: %s', (name, belongs) => {
  const held = {
    containers: [container('c', { image: 'i', labels: { [project]: name } })],
    images: [image('i')]
  }
  expect(decide('c', held, { repository: 'acme/.Site.io' })).toMatchObject(
    belongs ? goes : stays
  )
})

test('a project that a container has of its image is not its own: neither it goes for that, nor what it uses', () => {
  const labels = { [project]: 'web-pr-1' }
  const number = 'com.docker.compose.container-number'
  const of = (own: object, ofImage: Image[]) => {
    const parts = {
      ...{ image: 'i', imageReference: 'acme/web:v5', state: 'running' },
      ...{ labels: { ...labels, ...own }, networks: ['n'], volumes: ['v'] }
    }
    const held = {
      images: ofImage,
      containers: [container('c', parts)],
      networks: [network('n', { containers: ['c'] })],
      volumes: [volume('v')]
    }
    return ['c', 'n', 'v'].map((id) =>
      decide(id, held, {}, { includeVolumes: 'all' })
    )
  }
  const inherited = [image('i', { references: ['acme/web:v5'], labels })]
  const allStay = ['c', 'n', 'v'].map(() => ({ action: 'keep' }))
  expect(of({}, inherited)).toMatchObject(allStay)
  // Of an image that is not listed nobody knows.
  expect(of({}, [])).toMatchObject(allStay)
  expect(of({ [number]: '1' }, inherited)).toMatchObject([goes, goes, goes])
  // An image that was committed from one has all of its labels.
  const committed = [
    image('i', {
      references: ['acme/web:v5'],
      labels: { ...labels, [number]: '1' }
    })
  ]
  expect(of({ [number]: '1' }, committed)).toMatchObject(allStay)
})

test.each(['sha256:abcd1234', 'abcd1234', 'acme/web@sha256:d'])(
  'a container that was started by %s belongs with its whole image',
  (imageReference) => {
    const parts = { image: 'i', imageReference }
    const of = (...references: string[]) =>
      ofContainer(parts, [image('i', { references })])
    expect(of('acme/web:pr-1', 'web:pr-1')).toMatchObject(goes)
    expect(of('acme/web:pr-1', 'acme/web:main')).toMatchObject(stays)
    expect(of()).toMatchObject(stays)
    expect(ofContainer(parts)).toMatchObject(stays)
  }
)

test.each([
  ['created', goes, undefined],
  ['exited', goes, undefined],
  ['dead', goes, undefined],
  ['running', goes, true],
  ['paused', goes, true],
  ['restarting', goes, true],
  ['stopped', goes, true],
  ['removing', { action: 'keep', reason: 'in-use' }, undefined],
  [
    'running, and part of a pod',
    { action: 'keep', reason: 'in-use' },
    undefined
  ]
])('a container that is %s', (state, becomes, stop) => {
  const decision = ofContainer({ imageReference: 'acme/web:pr-1', state })
  expect(decision).toMatchObject(becomes)
  expect(decision?.action === 'remove' && decision.stop).toBe(
    becomes === goes ? stop : false
  )
})

test('on Podman one that is paused stays: it cannot be stopped there', () => {
  const { engine } = inventory()
  const paused = { imageReference: 'acme/web:pr-1', state: 'paused' }
  expect(
    decide('c', {
      engine: { ...engine, kind: 'podman' },
      containers: [container('c', paused)]
    })
  ).toMatchObject({ action: 'keep', reason: 'in-use' })
})

test('what runs is in use now, where until is given', () => {
  const until = { duration: 1 }
  const running = { imageReference: 'acme/web:pr-1', state: 'running' }
  expect(ofContainer(running, [], { until })).toMatchObject({
    action: 'keep',
    reason: 'recent'
  })
})

test.each([
  ['protected-label', { labels: { keep: '' } }, {}],
  ['not-included', {}, { includeContainers: false }],
  ['runner-owned', { labels: { abc123: '' } }, {}]
])('a running one that belongs stays by %s', (reason, parts, more) => {
  const running = { imageReference: 'acme/web:pr-1', state: 'running' }
  const held = {
    containers: [container('c', { ...running, ...parts, networks: ['n'] })],
    networks: [network('n', { containers: ['c'] })]
  }
  const asked = { protectedLabels: [{ key: 'keep', value: undefined }] }
  const decided = (id: string) => decide(id, held, {}, { ...asked, ...more })
  expect(decided('c')).toMatchObject({ action: 'keep', reason })
  expect(decided('n')).toMatchObject({ action: 'keep', reason: 'in-use' })
})

/** What becomes of a network and of a volume with these labels, and with these containers on them. */
function ofThings(
  labels: Record<string, string>,
  users: Partial<Container>[] = []
) {
  const containers = users.map((parts, index) =>
    container(`c${index}`, {
      ...{ image: 'i', networks: ['n'], volumes: ['v'] },
      ...parts
    })
  )
  const running = containers.filter(({ state }) => state === 'running')
  const held: Pick<Inventory, 'images' | 'networks' | 'volumes'> = {
    images: [image('i')],
    networks: [
      network('n', { labels, containers: running.map(({ id }) => id) })
    ],
    volumes: [volume('v', { labels })]
  }
  return ['n', 'v'].map((id) => decide(id, { ...held, containers }))
}

test.each([
  ['of a project that names both', { [project]: 'acme-web-pr-1' }, [], goes],
  ['of another number', { [project]: 'acme-web-pr-12' }, [], stays],
  ['of another repository', { [project]: 'acme-api-pr-1' }, [], stays],
  ['of no project', {}, [], stays],
  [
    'of no project, used by a container that belongs',
    {},
    [{ imageReference: 'acme/web:pr-1', state: 'running' }],
    goes
  ],
  [
    'of a project that names the number alone, used by one of it that belongs',
    { [project]: 'pr-1' },
    [{ imageReference: 'acme/web:pr-1', labels: { [project]: 'pr-1' } }],
    goes
  ],
  [
    'of another project, used by a container that belongs',
    { [project]: 'proxy' },
    [{ imageReference: 'acme/web:pr-1', labels: { [project]: 'web-pr-1' } }],
    stays
  ],
  [
    'used by a container of others as well',
    {},
    [{ imageReference: 'acme/web:pr-1' }, { imageReference: 'acme/web:main' }],
    { action: 'keep', reason: 'in-use' }
  ],
  [
    'used by one of another pull request',
    { [project]: 'web-pr-1' },
    [{ imageReference: 'acme/web:pr-12', labels: { [project]: 'web-pr-1' } }],
    stays
  ]
])('a network and a volume %s', (_, labels, users, becomes) => {
  for (const decision of ofThings(labels, users))
    expect(decision).toMatchObject(becomes)
})

test('a network with a running container that is not listed stays', () => {
  const labels = { [project]: 'web-pr-1' }
  const networks = [network('n', { labels, containers: ['unknown'] })]
  expect(decide('n', { networks })).toMatchObject({ reason: 'in-use' })
})

test('Docker’s own networks stay, whoever uses them', () => {
  const networks = [network('n', { name: 'bridge' })]
  const containers = [
    container('c', { imageReference: 'acme/web:pr-1', networks: ['bridge'] })
  ]
  expect(decide('n', { networks, containers })).toMatchObject({
    reason: 'built-in'
  })
})

test.each([
  ['none' as const, {}, 'not-included'],
  ['anonymous' as const, {}, 'named-volume'],
  ['all' as const, {}, undefined],
  ['anonymous' as const, { 'com.docker.volume.anonymous': '' }, undefined]
])(
  'the guard of the volumes holds, but nobody must have watched: %s %j',
  (includeVolumes, more, reason) => {
    const labels = { [project]: 'web-pr-1', ...more }
    const volumes = [volume('v', { labels })]
    for (const until of [{ duration: 0 }, { duration: hour }])
      expect(
        decide('v', { volumes }, {}, { includeVolumes, until })
      ).toMatchObject(reason === undefined ? goes : { action: 'keep', reason })
  }
)

test('the build cache stays', () => {
  const buildCache = { records: [cacheRecord()] }
  expect(decide('build-cache', { buildCache })).toMatchObject(stays)
})

test('a project may join the parts of a name in its own way', () => {
  const networks = [network('n', { labels: { [project]: 'my-web_js-pr-1' } })]
  const scope = { repository: 'acme/My_web.js' }
  expect(decide('n', { networks }, scope)).toMatchObject(goes)
})

test.each([
  [['acme/web:pr-2'], 'pull-request-open'],
  [['acme/web:pr-3'], 'pull-request-unknown'],
  [['acme/web:pr-2', 'acme/web:main'], 'pull-request-open'],
  [['acme/web:pr-1-pr-2'], 'pull-request-open'],
  [['acme/web:pr-3-pr-1'], 'pull-request-unknown'],
  [['acme/web:pr-4'], 'out-of-scope'],
  [['acme/web:main'], 'out-of-scope']
])('of several pull requests, %j stays as %s', (references, reason) => {
  const numbers: PullRequests['numbers'] = new Map([
    [1, 'closed'],
    [2, 'open'],
    [3, 'unknown'],
    [5, 'closed']
  ])
  expect(ofImage({ references }, { numbers })).toMatchObject({
    action: 'keep',
    reason
  })
  expect(
    ofImage({ references: ['web:pr-1', 'web:pr-5'] }, { numbers })
  ).toMatchObject(goes)
  expect(
    ofImage({ references: ['web:pr-1', 'web:pr-2'] }, { numbers })
  ).toMatchObject({ action: 'untag', removedReferences: ['web:pr-1'] })
})

test('every number of the repository is found, once and in order', () => {
  const held = inventory({
    images: [
      image('a', { references: ['acme/web:pr-12', 'acme/api:pr-2'] }),
      image('b', { references: ['acme/web:pr-1-pr-3', 'acme/web:main'] }),
      image('c', { labels: { ...ours, [version]: 'pr-4' } }),
      image('d', { references: [`acme/web:pr-${'9'.repeat(15)}`] }),
      image('e', {
        references: ['web@sha256:d'],
        labels: { [version]: 'pr-5' }
      })
    ],
    containers: [
      container('e', { imageReference: 'web:pr-6' }),
      container('f', { labels: { [project]: 'web-pr-12' } })
    ],
    networks: [network('g', { labels: { [project]: 'web-pr-7' } })],
    volumes: [volume('h', { labels: { [project]: 'api-pr-8' } })]
  })
  const { repository, patterns } = pullRequests()
  expect(findNumbers(held, repository, patterns)).toEqual([
    1, 3, 4, 5, 6, 7, 12
  ])
})

test.each([
  ['mr{number}', 'acme/web:mr1', true],
  ['mr{number}', 'acme/web:mr12', false],
  ['*{number}*', 'acme/web:pr-1-x', true],
  ['*{number}*', 'acme/web:pr-12-x', false],
  ['pr-{number}-??', 'acme/web:pr-1-ab', true],
  ['pr-{number}-??', 'acme/web:pr-1-abc', false],
  ['pr.{number}', 'acme/web:pr-1', false],
  ['**-{number}', 'acme/web:a-b-1', true]
])('the pattern %s matches %s: %s', (pattern, reference, matches) => {
  expect(problemOfPattern(pattern)).toBeUndefined()
  expect(
    ofImage({ references: [reference] }, { patterns: [pattern] })
  ).toMatchObject(matches ? goes : stays)
})

test.each([
  ['mr{number}', 'web-mr1', true],
  ['*-mr-{number}-*', 'web-mr-1', true],
  ['{number}', 'web-1', true],
  ['{number}', 'web-12', false],
  ['PR-{number}', 'web-pr-1', true],
  ['pr-*-{number}', 'web-pr-x-1', true]
])('the pattern %s finds the project %s: %s', (pattern, name, matches) => {
  const networks = [network('n', { labels: { [project]: name } })]
  expect(decide('n', { networks }, { patterns: [pattern] })).toMatchObject(
    matches ? goes : stays
  )
})

test.each([
  ['pr-12', 'no {number}'],
  ['', 'no {number}'],
  ['{number}-{number}', '{number} twice'],
  ['pr-{number}[a-z]', '"["'],
  ['web:pr-{number}', '":"'],
  ['a/{number}', '"/"'],
  ['{n}-{number}', '"{"'],
  ['v2{number}', 'a digit'],
  ['{number}0', 'a digit']
])('the pattern %s is bad: it has %s', (pattern, problem) => {
  expect(problemOfPattern(pattern)).toContain(problem)
})
