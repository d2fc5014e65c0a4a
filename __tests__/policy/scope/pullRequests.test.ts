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

/** Returns the decision for a resource when pull request 1 of acme/web is closed, without an age limit. */
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
const removed = { action: 'remove', reason: 'pull-request' }
const outOfScope = { action: 'keep', reason: 'out-of-scope' }

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
  // The repository matches whole path components, with its owner or without any owner.
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
])('image %s belongs: %s', (reference, belongs) => {
  expect(ofImage({ references: [reference] })).toMatchObject(
    belongs ? removed : outOfScope
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
])('source label %.50s is that of the repository: %s', (url, belongs) => {
  // The label decides, whatever the path is.
  for (const reference of ['acme/web:pr-1', 'elsewhere/x:pr-1'])
    expect(
      ofImage({ references: [reference], labels: { [source]: url } })
    ).toMatchObject(belongs ? removed : outOfScope)
})

test('an empty source label is ignored: the path counts', () => {
  const labels = { [source]: '' }
  expect(ofImage({ references: ['acme/web:pr-1'], labels })).toMatchObject(
    removed
  )
  expect(ofImage({ references: ['x:pr-1'], labels })).toMatchObject(outOfScope)
})

test('the repository name is compared without case', () => {
  const scope = { repository: 'Acme/Web' }
  expect(ofImage({ references: ['acme/web:pr-1'] }, scope)).toMatchObject(
    removed
  )
})

const ours = { [source]: 'https://github.com/acme/web' }

test.each([
  ['pr-1', ours, true],
  ['pr-12', ours, false],
  ['main', ours, false],
  ['', ours, false],
  ['x'.repeat(200) + '-pr-1', ours, false],
  ['9'.repeat(100_000), ours, false],
  // Without that source label, the repository is unknown.
  ['pr-1', {}, false],
  ['pr-1', { [source]: 'https://github.com/other/web' }, false]
])(
  'an untagged image belongs by its version label %.20s and its source label: %#',
  (label, labels, belongs) => {
    const labelled = { labels: { ...labels, [version]: label } }
    expect(ofImage(labelled)).toMatchObject(belongs ? removed : outOfScope)
  }
)

test('a digest belongs by the version label, if there are no tags', () => {
  const digest = 'acme/web@sha256:d'
  const labels = { [version]: 'pr-1' }
  expect(ofImage({ references: [digest], labels })).toMatchObject(removed)
  expect(ofImage({ references: [digest] })).toMatchObject(outOfScope)
  // The label may be inherited from a base image.
  const references = ['acme/web:main', digest]
  expect(ofImage({ references, labels })).toMatchObject(outOfScope)
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
])(
  'of an image with the references %j, these are removed: %j',
  (references, going) => {
    expect(ofImage({ references })).toMatchObject(
      going === 'all'
        ? removed
        : {
            action: 'untag',
            reason: 'pull-request',
            removedReferences: going
          }
    )
  }
)

test('until and keep-last apply if set', () => {
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
])('%s still applies to what belongs', (reason, parts, more) => {
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
  // Another owner's repository with the same project name.
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
  // It belongs to both.
  ['acme/web:pr-1', { [project]: 'web-pr-12' }, false],
  ['acme/web:pr-12', { [project]: 'web-pr-1' }, false],
  // With the owner, the project name is unambiguous.
  ['ghcr.io/acme/api:pr-7', { [project]: 'acme-web-pr-1' }, true],
  ['ghcr.io/acme/api:pr-7', { [project]: 'web-pr-1' }, false],
  // What looks like owner and repository is another repository's name.
  ['ghcr.io/other/acme-web:pr-1', { [project]: 'acme-web-pr-1' }, false],
  [
    'preview:pr-1',
    {
      [project]: 'acme-web-pr-1',
      [source]: 'https://github.com/other/acme-web'
    },
    false
  ]
])('container of %s with labels %j belongs: %s', (name, labels, belongs) => {
  const parts = { image: 'i', imageReference: name, labels }
  expect(ofContainer(parts, [image('i')])).toMatchObject(
    belongs ? removed : outOfScope
  )
})

test.each([
  // Compose drops characters that it does not allow.
  ['siteio-pr-1', true],
  ['site-io-pr-1', true],
  ['acme-siteio-pr-1', true],
  ['acme_site-io_pr-1', true],
  ['site-pr-1', false],
  ['io-pr-1', false]
])('project %s belongs to acme/.Site.io: %s', (name, belongs) => {
  const held = {
    containers: [container('c', { image: 'i', labels: { [project]: name } })],
    images: [image('i')]
  }
  expect(decide('c', held, { repository: 'acme/.Site.io' })).toMatchObject(
    belongs ? removed : outOfScope
  )
})

test('a project label inherited from the image does not count, neither for a container nor for what it uses', () => {
  const labels = { [project]: 'web-pr-1' }
  const number = 'com.docker.compose.container-number'
  const decideEach = (own: object, ofImage: Image[]) => {
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
  expect(decideEach({}, inherited)).toMatchObject(allStay)
  // If the image is not listed, the label may be inherited.
  expect(decideEach({}, [])).toMatchObject(allStay)
  expect(decideEach({ [number]: '1' }, inherited)).toMatchObject([
    removed,
    removed,
    removed
  ])
  // An image committed from a container has all its labels.
  const committed = [
    image('i', {
      references: ['acme/web:v5'],
      labels: { ...labels, [number]: '1' }
    })
  ]
  expect(decideEach({ [number]: '1' }, committed)).toMatchObject(allStay)
})

test.each(['sha256:abcd1234', 'abcd1234', 'acme/web@sha256:d'])(
  'a container started by %s belongs only if its whole image does',
  (imageReference) => {
    const parts = { image: 'i', imageReference }
    const decideFor = (...references: string[]) =>
      ofContainer(parts, [image('i', { references })])
    expect(decideFor('acme/web:pr-1', 'web:pr-1')).toMatchObject(removed)
    expect(decideFor('acme/web:pr-1', 'acme/web:main')).toMatchObject(
      outOfScope
    )
    expect(decideFor()).toMatchObject(outOfScope)
    expect(ofContainer(parts)).toMatchObject(outOfScope)
  }
)

test.each([
  ['created', removed, undefined],
  ['exited', removed, undefined],
  ['dead', removed, undefined],
  ['running', removed, true],
  ['paused', removed, true],
  ['restarting', removed, true],
  ['stopped', removed, true],
  ['removing', { action: 'keep', reason: 'in-use' }, undefined],
  ['running, part of a pod', { action: 'keep', reason: 'in-use' }, undefined]
])('a container that is %s', (state, becomes, stop) => {
  const decision = ofContainer({ imageReference: 'acme/web:pr-1', state })
  expect(decision).toMatchObject(becomes)
  expect(decision?.action === 'remove' && decision.stop).toBe(
    becomes === removed ? stop : false
  )
})

test('on Podman, a paused container is kept, since it cannot be stopped', () => {
  const { engine } = inventory()
  const paused = { imageReference: 'acme/web:pr-1', state: 'paused' }
  expect(
    decide('c', {
      engine: { ...engine, kind: 'podman' },
      containers: [container('c', paused)]
    })
  ).toMatchObject({ action: 'keep', reason: 'in-use' })
})

test('a running container counts as just used, if until is set', () => {
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
])('a running container that belongs is kept by %s', (reason, parts, more) => {
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

/** Returns the decisions for a network and a volume with these labels and users. */
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
  [
    'of a project with repository and number',
    { [project]: 'acme-web-pr-1' },
    [],
    removed
  ],
  [
    'of a project with another number',
    { [project]: 'acme-web-pr-12' },
    [],
    outOfScope
  ],
  [
    'of a project of another repository',
    { [project]: 'acme-api-pr-1' },
    [],
    outOfScope
  ],
  ['without a project', {}, [], outOfScope],
  [
    'without a project, used by a container that belongs',
    {},
    [{ imageReference: 'acme/web:pr-1', state: 'running' }],
    removed
  ],
  [
    'of a project with only the number, used by a container of it that belongs',
    { [project]: 'pr-1' },
    [{ imageReference: 'acme/web:pr-1', labels: { [project]: 'pr-1' } }],
    removed
  ],
  [
    'of another project, used by a container that belongs',
    { [project]: 'proxy' },
    [{ imageReference: 'acme/web:pr-1', labels: { [project]: 'web-pr-1' } }],
    outOfScope
  ],
  [
    'also used by another container',
    {},
    [{ imageReference: 'acme/web:pr-1' }, { imageReference: 'acme/web:main' }],
    { action: 'keep', reason: 'in-use' }
  ],
  [
    'used by a container of another pull request',
    { [project]: 'web-pr-1' },
    [{ imageReference: 'acme/web:pr-12', labels: { [project]: 'web-pr-1' } }],
    outOfScope
  ]
])('a network and a volume %s', (_, labels, users, becomes) => {
  for (const decision of ofThings(labels, users))
    expect(decision).toMatchObject(becomes)
})

test('a network with an unlisted running container is kept', () => {
  const labels = { [project]: 'web-pr-1' }
  const networks = [network('n', { labels, containers: ['unknown'] })]
  expect(decide('n', { networks })).toMatchObject({ reason: 'in-use' })
})

test('built-in networks are kept, whoever uses them', () => {
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
  'include-volumes applies, but volumes need not be watched: %s %j',
  (includeVolumes, more, reason) => {
    const labels = { [project]: 'web-pr-1', ...more }
    const volumes = [volume('v', { labels })]
    for (const until of [{ duration: 0 }, { duration: hour }])
      expect(
        decide('v', { volumes }, {}, { includeVolumes, until })
      ).toMatchObject(
        reason === undefined ? removed : { action: 'keep', reason }
      )
  }
)

test('the build cache is kept', () => {
  const buildCache = { records: [cacheRecord()] }
  expect(decide('build-cache', { buildCache })).toMatchObject(outOfScope)
})

test('project names may use other separators than the repository', () => {
  const networks = [network('n', { labels: { [project]: 'my-web_js-pr-1' } })]
  const scope = { repository: 'acme/My_web.js' }
  expect(decide('n', { networks }, scope)).toMatchObject(removed)
})

test.each([
  [['acme/web:pr-2'], 'pull-request-open'],
  [['acme/web:pr-3'], 'pull-request-unknown'],
  [['acme/web:pr-2', 'acme/web:main'], 'pull-request-open'],
  [['acme/web:pr-1-pr-2'], 'pull-request-open'],
  [['acme/web:pr-3-pr-1'], 'pull-request-unknown'],
  [['acme/web:pr-4'], 'out-of-scope'],
  [['acme/web:main'], 'out-of-scope']
])('with several pull requests, %j is kept as %s', (references, reason) => {
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
  ).toMatchObject(removed)
  expect(
    ofImage({ references: ['web:pr-1', 'web:pr-2'] }, { numbers })
  ).toMatchObject({ action: 'untag', removedReferences: ['web:pr-1'] })
})

test('every number of the repository is found, sorted and without duplicates', () => {
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
])('pattern %s matches %s: %s', (pattern, reference, matches) => {
  expect(problemOfPattern(pattern)).toBeUndefined()
  expect(
    ofImage({ references: [reference] }, { patterns: [pattern] })
  ).toMatchObject(matches ? removed : outOfScope)
})

test.each([
  ['mr{number}', 'web-mr1', true],
  ['*-mr-{number}-*', 'web-mr-1', true],
  ['{number}', 'web-1', true],
  ['{number}', 'web-12', false],
  ['PR-{number}', 'web-pr-1', true],
  ['pr-*-{number}', 'web-pr-x-1', true]
])('pattern %s matches project %s: %s', (pattern, name, matches) => {
  const networks = [network('n', { labels: { [project]: name } })]
  expect(decide('n', { networks }, { patterns: [pattern] })).toMatchObject(
    matches ? removed : outOfScope
  )
})

test.each([
  ['pr-12', '{number} is missing'],
  ['', '{number} is missing'],
  ['{number}-{number}', '{number} appears twice'],
  ['pr-{number}[a-z]', '"["'],
  ['web:pr-{number}', '":"'],
  ['a/{number}', '"/"'],
  ['{n}-{number}', '"{"'],
  ['v2{number}', 'a digit'],
  ['{number}0', 'a digit']
])('pattern %s is invalid: %s', (pattern, problem) => {
  expect(problemOfPattern(pattern)).toContain(problem)
})
