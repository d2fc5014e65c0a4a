import { expect, test } from '@jest/globals'
import { makePlan } from '../../src/policy/plan.ts'
import {
  cacheRecord,
  container,
  day,
  decisionOf,
  hour,
  image,
  inventory,
  minute,
  network,
  now,
  policy,
  pullRequests,
  volume
} from '../builders.ts'

// One rule per test, on a minimal inventory; the properties are in plan.test.ts.

const removed = { action: 'remove' }
const ago = (milliseconds: number) => now - milliseconds

test.each([
  [
    'the later of build and tag',
    { createdAt: ago(2 * day), taggedAt: ago(minute) },
    'recent'
  ],
  [
    'its tag only',
    { createdAt: undefined, taggedAt: ago(2 * day) },
    'dangling'
  ],
  [
    'an old tag and a late build',
    { createdAt: ago(minute), taggedAt: ago(2 * day) },
    'recent'
  ],
  [
    'the date of a reproducible build, which is ignored',
    { createdAt: Date.UTC(1980, 0, 1), taggedAt: undefined },
    'unknown-age'
  ],
  [
    'a build elsewhere, which is ignored',
    { createdAt: ago(2 * day), pulled: true },
    'unknown-age'
  ],
  [
    'a build elsewhere and a local tag',
    { createdAt: ago(60 * day), taggedAt: ago(2 * day), pulled: true },
    'dangling'
  ],
  ['a build in the future', { createdAt: now + day }, 'dangling'],
  ['a tag in the future', { taggedAt: now + day }, 'unknown-age'],
  ['a tag slightly in the future', { taggedAt: now + 5 * minute }, 'recent'],
  ['a load at an unknown time', { taggedAt: undefined }, 'unknown-age'],
  [
    'a step of the classic builder',
    { taggedAt: undefined, parent: 'base' },
    'dangling'
  ]
])('the age of an image by %s', (_, dates, reason) => {
  expect(decisionOf('i', { images: [image('i', dates)] })?.reason).toBe(reason)
})

test('the detail names the age and its evidence', () => {
  expect(
    decisionOf('i', {
      images: [image('i', { createdAt: ago(3 * day), taggedAt: ago(5 * hour) })]
    })?.detail
  ).toBe('tagged 5 h ago')
  expect(
    decisionOf('c', {
      containers: [container('c', { finishedAt: ago(5 * hour) })]
    })?.detail
  ).toBe('exited 5 h ago')
})

test('an age of exactly until is sufficient', () => {
  const held = { images: [image('i', { createdAt: ago(hour) })] }
  expect(decisionOf('i', held, { until: { duration: hour } })).toMatchObject(
    removed
  )
  expect(decisionOf('i', held, { until: { time: ago(hour) } })).toMatchObject(
    removed
  )
  expect(
    decisionOf('i', held, { until: { duration: hour + 1 } })
  ).toMatchObject({ reason: 'recent' })
})

test.each([
  [
    'a container that never started',
    'c',
    {
      containers: [
        container('c', {
          state: 'created',
          createdAt: ago(9 * minute),
          startedAt: undefined,
          finishedAt: undefined
        })
      ]
    }
  ],
  [
    'a network',
    'n',
    { networks: [network('n', { createdAt: ago(9 * minute) })] }
  ],
  [
    'an anonymous volume',
    'a'.repeat(64),
    { volumes: [volume('a'.repeat(64), { createdAt: ago(9 * minute) })] }
  ]
])('%s is kept for its first ten minutes', (_, id, held) => {
  const short = { until: { duration: minute } }
  expect(decisionOf(id, held, short)).toMatchObject({
    action: 'keep',
    reason: 'recent'
  })
  expect(decisionOf(id, held, { until: { duration: 0 } })).toMatchObject(
    removed
  )
})

test('the age of a network or volume counts from the end of the last container that used it', () => {
  const containers = [
    container('c', {
      networks: ['n'],
      volumes: ['a'.repeat(64)],
      finishedAt: ago(minute)
    })
  ]
  const anyAge = { until: { duration: 0 } }
  const held = {
    containers,
    networks: [network('n')],
    volumes: [volume('a'.repeat(64))]
  }
  expect(decisionOf('n', held, anyAge)?.detail).toBe(
    'used by a container 60 s ago'
  )
  expect(decisionOf('a'.repeat(64), held, anyAge)?.detail).toBe(
    'used by a container 60 s ago'
  )
})

test.each([
  ['a built-in one', network('n', { name: 'bridge' }), 'built-in'],
  ['the swarm’s ingress', network('n', { ingress: true }), 'built-in'],
  ['one with swarm scope', network('n', { scope: 'swarm' }), 'in-use'],
  ['one with running containers', network('n', { containers: ['c'] }), 'in-use']
])('a network is kept: %s', (_, one, reason) => {
  expect(decisionOf('n', { networks: [one] })).toMatchObject({
    action: 'keep',
    reason
  })
})

test('a network is kept while a kept network uses it as config', () => {
  const networks = [
    network('source', { name: 'source' }),
    network('n', { configFrom: 'source', labels: { keep: '' } })
  ]
  expect(
    decisionOf(
      'source',
      { networks },
      { protectedLabels: [{ key: 'keep', value: undefined }] }
    )
  ).toMatchObject({ reason: 'in-use' })
  expect(decisionOf('source', { networks })).toMatchObject(removed)
})

test.each([
  ['by its name', { volumes: ['v'] }],
  ['by a bind mount of its folder', { binds: ['/volumes/v/_data'] }],
  ['by a bind mount of a subfolder', { binds: ['/volumes/v/_data/sub'] }]
])('a volume that a kept container uses %s is kept', (_, uses) => {
  const volumes = [volume('v')]
  const anyAge = { until: { duration: 0 } }
  expect(
    decisionOf(
      'v',
      { volumes, containers: [container('c', { state: 'running', ...uses })] },
      anyAge
    )
  ).toMatchObject({ reason: 'in-use' })
  expect(
    decisionOf(
      'v',
      {
        volumes,
        containers: [
          container('c', { state: 'running', binds: ['/volumes/v2/_data'] })
        ]
      },
      anyAge
    )
  ).toMatchObject(removed)
})

test('Windows paths are compared without case and slash direction', () => {
  const mountpoint = 'C:\\ProgramData\\Docker\\volumes\\v\\_data'
  const binds = ['c:/programdata/docker/volumes/v/_data']
  expect(
    decisionOf(
      'v',
      {
        volumes: [volume('v', { mountpoint })],
        containers: [container('c', { state: 'running', binds })]
      },
      { until: { duration: 0 } }
    )
  ).toMatchObject({ reason: 'in-use' })
})

test.each([
  ['its ID', 'sha256:abcd1234', true],
  ['a prefix of its ID', 'abcd', true],
  ['a prefix of its ID with the algorithm', 'sha256:abcd', true],
  ['another ID', 'abce', false],
  ['its tag', 'app', true],
  ['its full tag', 'docker.io/library/app:latest', true],
  ['another tag', 'app:2', false],
  ['a digest that is its ID', 'other@sha256:abcd1234', true],
  ['a tag and a digest that is its ID', 'app:9@sha256:abcd1234', true],
  ['its digest', 'app@sha256:ffff', true],
  ['another digest', 'app@sha256:eeee', false]
])('an image that a container mounts by %s', (_, name, stays) => {
  const held = {
    images: [
      image('sha256:abcd1234', {
        references: ['app:latest'],
        digests: ['app@sha256:ffff']
      })
    ],
    containers: [container('c', { state: 'running', mountedImages: [name] })]
  }
  expect(decisionOf('sha256:abcd1234', held)?.action).toBe(
    stays ? 'keep' : 'remove'
  )
})

test('a container uses the image of its image ID, even if the name has moved', () => {
  const images = [
    image('sha256:old'),
    image('sha256:new', { references: ['app:1'] })
  ]
  const containers = [
    container('c', {
      state: 'running',
      image: 'sha256:old',
      imageReference: 'app:1'
    })
  ]
  expect(decisionOf('sha256:old', { images, containers })).toMatchObject({
    reason: 'in-use'
  })
  expect(decisionOf('sha256:new', { images, containers })).toMatchObject(
    removed
  )
})

test('a digest pattern protects the image with that digest, even if the store generated it', () => {
  const images = [
    image('i', { references: ['app:1'], digests: ['app@sha256:ffff'] })
  ]
  expect(
    decisionOf('i', { images }, { protectedImages: ['app@sha256:ffff'] })
  ).toMatchObject({ reason: 'protected-image' })
})

test('keep-last counts only images of known age, ordered by build date', () => {
  const images = [
    image('1', { references: ['app:1'], createdAt: ago(5 * day) }),
    image('2', {
      references: ['app:2'],
      createdAt: ago(4 * day),
      taggedAt: ago(2 * day)
    }),
    image('3', { references: ['app:3'], createdAt: ago(3 * day) }),
    image('4', { references: ['app:4'], createdAt: ago(day), pulled: true })
  ]
  const decide = (id: string, until = hour) =>
    decisionOf(id, { images }, { keepLast: 2, until: { duration: until } })
      ?.reason
  expect(['1', '2', '3', '4'].map((id) => decide(id))).toEqual([
    'expired',
    'keep-last',
    'keep-last',
    'unknown-age'
  ])
  expect(['1', '2', '3', '4'].map((id) => decide(id, 0))).toEqual([
    'expired',
    'expired',
    'keep-last',
    'keep-last'
  ])
})

test('a pattern that matches nothing is reported with its input', () => {
  const held = inventory({
    images: [image('i', { references: ['app:1'], labels: { team: 'web' } })]
  })
  const wanted = policy({
    protectedLabels: [
      { key: 'team', value: undefined },
      { key: 'team', value: 'api' }
    ],
    protectedImages: ['app', 'ap']
  })
  expect(makePlan(held, wanted).unmatched).toEqual([
    { input: 'protected-labels', pattern: 'team=api' },
    { input: 'protected-images', pattern: 'ap' }
  ])
})

test.each([
  ['protected-images', 'ghcr.io/acme/wep:*', 'ghcr.io/acme/web:1'],
  // The registry or the owner is missing.
  ['protected-images', 'acme/web:1', 'ghcr.io/acme/web:1'],
  ['protected-images', 'web', 'ghcr.io/acme/web:1'],
  ['protected-images', 'redis', undefined],
  // That image is kept anyway.
  ['protected-images', 'kept:2', undefined],
  ['protected-labels', 'stage=prd', 'stage=prod'],
  ['protected-labels', 'stages', 'stage'],
  ['protected-labels', 'owner', undefined]
] as const)('%s: the suggestion for %s is %s', (input, pattern, nearest) => {
  const [key = '', value] = pattern.split('=')
  const held = inventory({
    images: [
      image('i', {
        references: ['ghcr.io/acme/web:1'],
        labels: { stage: 'prod' }
      }),
      image('kept', { references: ['kept:1'], createdAt: now })
    ]
  })
  const wanted = policy({
    until: { duration: hour },
    ...(input === 'protected-images'
      ? { protectedImages: [pattern] }
      : { protectedLabels: [{ key, value }] })
  })
  const near =
    nearest === undefined ? {} : { nearest: { name: nearest, goes: true } }
  expect(makePlan(held, wanted).unmatched).toEqual([
    { input, pattern, ...near }
  ])
})

test('a tag pattern that matches no image of the repository is reported', () => {
  const held = inventory({ images: [image('i', { references: ['web:pr-1'] })] })
  const scope = pullRequests({ patterns: ['pr-{number}', 'PR-{number}'] })
  expect(makePlan(held, policy({ scope })).unmatched).toEqual([
    { input: 'pull-request-patterns', pattern: 'PR-{number}' }
  ])
})

test.each([
  ['idle for long enough', cacheRecord(), 100, 100],
  [
    'possibly idle for long enough',
    cacheRecord({ idle: { least: 0, most: day } }),
    0,
    100
  ],
  [
    'idle for barely long enough',
    cacheRecord({ idle: { least: hour + 999, most: day } }),
    0,
    100
  ],
  ['rewritable', cacheRecord({ rewritable: true }), 0, 100],
  ['in use', cacheRecord({ inUse: true }), undefined, undefined],
  ['internal', cacheRecord({ internal: true }), undefined, undefined],
  [
    'shared with a kept image',
    cacheRecord({ shared: true }),
    undefined,
    undefined
  ],
  [
    'used a moment ago',
    cacheRecord({ idle: { least: 0, most: minute } }),
    undefined,
    undefined
  ]
])('a build cache record that is %s', (_, record, least, most) => {
  const { items } = makePlan(
    inventory({ buildCache: { records: [record] } }),
    policy()
  )
  const [cache] = items
  expect(cache?.decision.action).toBe(least === undefined ? 'keep' : 'remove')
  expect(cache).toMatchObject({ bytes: least ?? 0, bytesAtMost: most ?? 0 })
})

test('a record shared with a removed image may be removed, but its bytes count with the image', () => {
  const { items } = makePlan(
    inventory({
      images: [image('i')],
      buildCache: { records: [cacheRecord({ shared: true })] }
    }),
    policy()
  )
  expect(items.at(-1)).toMatchObject({
    decision: removed,
    bytes: 0,
    bytesAtMost: 0
  })
})

test('a parent record is certain to be removed only if its children are', () => {
  const recent = { least: 0, most: minute }
  const records = [
    cacheRecord({ id: 'base' }),
    cacheRecord({ id: 'parent', parents: ['base'] }),
    cacheRecord({ id: 'child', parents: ['parent'], idle: recent }),
    cacheRecord({ id: 'alone', bytes: 7 })
  ]
  const { items } = makePlan(inventory({ buildCache: { records } }), policy())
  expect(items.at(-1)).toMatchObject({ bytes: 7, bytesAtMost: 207 })
})

test('the parent of a cache mount is certain to be removed only if the mount is', () => {
  const records = [
    cacheRecord({ id: 'parent' }),
    cacheRecord({ id: 'mount', parents: ['parent'], rewritable: true })
  ]
  const { items } = makePlan(inventory({ buildCache: { records } }), policy())
  expect(items.at(-1)).toMatchObject({ bytes: 0, bytesAtMost: 200 })
})

test('the size of a base image record is an estimate, unless an image shares the record', () => {
  const cache = (shared: boolean) =>
    makePlan(
      inventory({
        images: [image('i')],
        buildCache: { records: [cacheRecord({ base: true, shared })] }
      }),
      policy()
    ).items.at(-1)
  expect(cache(false)?.estimated).toBe(true)
  expect(cache(true)?.estimated).toBeUndefined()
})

test('build-cache-keep is subtracted from what can be removed', () => {
  const records = [
    cacheRecord(),
    cacheRecord(),
    cacheRecord({ idle: { least: 0, most: 0 } })
  ]
  const cache = (buildCacheKeep: number) =>
    makePlan(
      inventory({ buildCache: { records } }),
      policy({ buildCacheKeep })
    ).items.at(-1)
  expect(cache(0)).toMatchObject({
    decision: removed,
    bytes: 200,
    bytesAtMost: 200
  })
  expect(cache(250)).toMatchObject({
    decision: removed,
    bytes: 50,
    // The builder removes whole records until at most 250 are left: here, one more record of 100.
    bytesAtMost: 150
  })
  expect(cache(300)).toMatchObject({
    decision: { action: 'keep', reason: 'recent', input: 'build-cache-keep' }
  })
  const shared = [cacheRecord({ shared: true })]
  const held = inventory({ buildCache: { records: shared } })
  expect(makePlan(held, policy()).items.at(-1)).toMatchObject({
    decision: { action: 'keep', reason: 'recent', input: null }
  })
})

test('a build cache that cannot be listed is left to the builder', () => {
  const { items } = makePlan(
    inventory({ buildCache: { records: undefined } }),
    policy()
  )
  expect(items.at(-1)).toMatchObject({ decision: removed, bytes: undefined })
})

const ownedImage = `0a1b2c:${'f'.repeat(32)}`
test.each([
  [
    'the image of a container action',
    'o',
    (age: number) => ({
      images: [image('o', { references: [ownedImage], createdAt: ago(age) })]
    })
  ],
  [
    'a network of a job',
    'o',
    (age: number) => ({
      networks: [
        network('o', { name: 'github_network_x', createdAt: ago(age) })
      ]
    })
  ],
  [
    'an image of a container action on Podman',
    'o',
    (age: number) => ({
      images: [
        image('o', {
          references: [`localhost/0a1b2c:${'0'.repeat(32)}`],
          aliases: [`0a1b2c:${'0'.repeat(32)}`],
          createdAt: ago(age)
        })
      ]
    })
  ],
  [
    'a network with its label',
    'o',
    (age: number) => ({
      networks: [
        network('o', { labels: { '0a1b2c': '' }, createdAt: ago(age) })
      ]
    })
  ],
  [
    'a container with its label',
    'o',
    (age: number) => ({
      containers: [
        container('o', {
          labels: { '0a1b2c': '' },
          createdAt: ago(age),
          finishedAt: ago(age)
        })
      ]
    })
  ]
])(
  'a resource of the runner is kept for a day, whatever until is: %s',
  (_, id, held) => {
    for (const wanted of [
      { until: { duration: 0 } },
      { until: { duration: 0 }, ageFrom: 'created' as const }
    ]) {
      expect(decisionOf(id, held(23 * hour), wanted)).toMatchObject({
        action: 'keep',
        reason: 'runner-owned'
      })
      expect(decisionOf(id, held(day), wanted)).toMatchObject(removed)
    }
  }
)

test('a resource of the runner is kept for a day, or while the oldest running job may need it', () => {
  const decide = (idle: number, oldestJob?: number) =>
    decisionOf('n', {
      oldestJob,
      networks: [
        network('n', {
          name: 'github_network_1',
          createdAt: ago(idle)
        })
      ]
    })?.reason
  expect(decide(23 * hour, Infinity)).toBe('runner-owned')
  expect(decide(day, Infinity)).toBe('expired')
  expect(decide(3 * day, ago(3 * day + hour))).toBe('runner-owned')
  expect(decide(3 * day, ago(3 * day))).toBe('expired')
  expect(decide(23 * hour, ago(minute))).toBe('runner-owned')
  // The running jobs are unknown.
  expect(decide(5 * day - minute, undefined)).toBe('runner-owned')
  expect(decide(5 * day, undefined)).toBe('expired')
})

test('an image of the runner with unknown pull time counts as new', () => {
  const images = [image('o', { references: [ownedImage], pulled: true })]
  expect(decisionOf('o', { images }, { until: { duration: 0 } })).toMatchObject(
    { reason: 'runner-owned' }
  )
})

test.each([
  [
    'a pull',
    { type: 'image', action: 'pull', id: 'app:1' },
    'pulled 5 min ago'
  ],
  [
    'a load',
    { type: 'image', action: 'load', id: 'sha256:i' },
    'loaded 5 min ago'
  ],
  [
    'a tag',
    { type: 'image', action: 'tag', id: 'sha256:i' },
    'tagged 5 min ago'
  ],
  [
    'a build that produced it again',
    { type: 'image', action: 'create', id: 'sha256:i' },
    'built 5 min ago'
  ],
  [
    'a pull of all tags of its repository',
    { type: 'image', action: 'pull', id: 'app' },
    'pulled 5 min ago'
  ],
  [
    'a pull of all tags of another repository',
    { type: 'image', action: 'pull', id: 'acme/app' },
    'created 30 days ago'
  ],
  [
    'a container of tag latest, which is another image',
    { type: 'container', action: 'die', id: 'gone', image: 'app' },
    'created 30 days ago'
  ],
  [
    'a container that names it',
    {
      type: 'container',
      action: 'die',
      id: 'gone',
      image: 'docker.io/library/app:1'
    },
    'used by a container 5 min ago'
  ],
  [
    'an event that is not a use',
    { type: 'image', action: 'untag', id: 'sha256:i' },
    'created 30 days ago'
  ],
  [
    'an event of another image',
    { type: 'image', action: 'pull', id: 'app:2' },
    'created 30 days ago'
  ]
])('the event log shows the use of an image: %s', (_, parts, detail) => {
  const event = { at: ago(5 * minute), image: '', ...parts }
  const held = {
    images: [image('sha256:i', { references: ['app:1'] })],
    events: [event]
  }
  expect(decisionOf('sha256:i', held)?.detail).toBe(detail)
  expect(decisionOf('sha256:i', held, { ageFrom: 'created' })?.detail).toBe(
    'created 30 days ago'
  )
})

test('an event of a known container counts for the image of that container', () => {
  const event = {
    at: ago(5 * minute),
    type: 'container',
    action: 'die',
    id: 'c',
    image: 'app:1'
  }
  const held = {
    images: [
      image('sha256:old'),
      image('sha256:new', { references: ['app:1'] })
    ],
    containers: [container('c', { image: 'sha256:old' })],
    events: [event]
  }
  expect(decisionOf('sha256:old', held)?.reason).toBe('recent')
  expect(decisionOf('sha256:new', held)).toMatchObject(removed)
})

test('the event log shows the use of networks and volumes', () => {
  const events = [
    {
      at: ago(5 * minute),
      type: 'network',
      action: 'disconnect',
      id: 'n',
      image: ''
    },
    {
      at: ago(5 * minute),
      type: 'volume',
      action: 'unmount',
      id: 'a'.repeat(64),
      image: ''
    }
  ]
  const held = {
    networks: [network('n')],
    volumes: [volume('a'.repeat(64))],
    events
  }
  for (const id of ['n', 'a'.repeat(64)])
    expect(decisionOf(id, held)?.reason).toBe('recent')
})

test('an image of unknown age is at least as old as the event log, if the log rules out later arrival', () => {
  const held = (began: number) => ({
    images: [
      image('i', { pulled: true, references: ['app:1'] }),
      // The log does not name an image whose tag has moved.
      image('old', {
        pulled: true,
        references: [`app@sha256:${'0'.repeat(64)}`]
      })
    ],
    events: [
      { at: ago(began), type: 'plugin', action: 'enable', id: 'x', image: '' }
    ]
  })
  expect(decisionOf('i', held(59 * minute))).toMatchObject({
    action: 'keep',
    reason: 'unknown-age'
  })
  expect(decisionOf('i', held(hour))).toMatchObject(removed)
  expect(decisionOf('old', held(hour))?.reason).toBe('unknown-age')
  // An earlier run did not see the image.
  const unseen = { ...held(hour), ledger: [] }
  expect(decisionOf('i', unseen)?.reason).toBe('unknown-age')
  // The event may be about this image, if the tag has moved since.
  const event = { at: ago(minute), type: 'image', action: 'pull', image: '' }
  const { images, events } = held(hour)
  for (const more of [
    { ...event, id: 'app:2' },
    { ...event, type: 'container', action: 'die', id: 'c', image: 'app:2' }
  ])
    expect(decisionOf('i', { images, events: [...events, more] })?.reason).toBe(
      'unknown-age'
    )
})

test('a container without an end time is of unknown age', () => {
  const decide = (
    dates: object,
    wanted: Parameters<typeof decisionOf>[2] = {}
  ) =>
    decisionOf(
      'c',
      { containers: [container('c', dates)], remembers: true },
      wanted
    )
  const started = { startedAt: ago(2 * day), finishedAt: undefined }
  const none = {
    reason: 'unknown-age',
    detail: 'last use unknown'
  }
  expect(decide(started)).toMatchObject(none)
  // The end time is from an earlier run.
  expect(decide({ ...started, finishedAt: ago(9 * day) })).toMatchObject(none)
  expect(decide({ ...started, finishedAt: ago(2 * day) - 1 })).toMatchObject(
    removed
  )
  expect(decide({ startedAt: undefined, finishedAt: undefined })).toMatchObject(
    removed
  )
  expect(decide(started, { ageFrom: 'created' })).toMatchObject(removed)
  expect(decide(started, { until: { duration: 0 } })).toMatchObject(removed)
})

test('a container that never started may name its network by an ID prefix', () => {
  const id = '3f2a4b5c6d7e'.padEnd(64, '0')
  const decide = (name: string, dates: object = {}) => {
    const parts = {
      createdAt: ago(minute),
      startedAt: undefined,
      finishedAt: ago(minute),
      networks: [name]
    }
    return decisionOf(id, {
      containers: [container('c', { ...parts, ...dates })],
      networks: [network(id)]
    })
  }
  for (const name of [id, id.slice(0, 12), '3f2a', `name-of-${id}`])
    expect(decide(name)).toMatchObject({ reason: 'in-use' })
  for (const name of ['4f2a', '3f', '', 'name'])
    expect(decide(name)).toMatchObject(removed)
  // A started container has the full ID, so this is a name.
  expect(decide('3f2a', { startedAt: ago(minute) })).toMatchObject(removed)
})

test('the ledger provides use, arrival and, without other evidence, first sighting', () => {
  const decide = (parts: object, dates: object = {}) =>
    decisionOf('i', {
      images: [image('i', dates)],
      ledger: [{ id: 'i', since: ago(2 * day), arrived: false, ...parts }]
    })
  expect(decide({ usedAt: ago(minute) })).toMatchObject({
    reason: 'recent',
    detail: 'seen in use 60 s ago'
  })
  const arrived = { since: ago(minute), arrived: true }
  expect(decide(arrived, { taggedAt: undefined })).toMatchObject({
    reason: 'recent',
    detail: 'first seen 60 s ago'
  })
  // The tag date is more precise.
  expect(decide(arrived, { taggedAt: ago(day) })).toMatchObject(removed)
  // It was there on the first run already, so its arrival is unknown.
  expect(decide({ since: ago(minute) })).toMatchObject({
    action: 'remove',
    detail: 'created 30 days ago'
  })
  expect(decide({}, { pulled: true })).toMatchObject({
    action: 'remove',
    detail: 'unused since first seen 2 days ago'
  })
  // An image watched for less than until does not count for keep-last either.
  const images = [
    image('i', { pulled: true, references: ['app:2'], createdAt: ago(day) }),
    image('built', { references: ['app:1'], taggedAt: ago(2 * day) })
  ]
  const decisions = (since: number) =>
    ['i', 'built'].map((id) =>
      decisionOf(
        id,
        { images, ledger: [{ id: 'i', since, arrived: false }] },
        { keepLast: 1 }
      )
    )
  expect(decisions(ago(minute))).toMatchObject([
    { reason: 'unknown-age' },
    { reason: 'keep-last' }
  ])
  expect(decisions(ago(hour))).toMatchObject([{ reason: 'keep-last' }, removed])
})

test('a named volume is removed only after it was watched for until, and not used since', () => {
  const decide = (since: number | undefined, parts: object = {}) =>
    decisionOf('v', {
      volumes: [volume('v', parts)],
      ledger:
        since === undefined ? undefined : [{ id: 'v', since, arrived: false }],
      remembers: true
    })
  expect(decide(undefined)).toMatchObject({
    action: 'keep',
    reason: 'unknown-age'
  })
  expect(decide(ago(59 * minute))).toMatchObject({
    action: 'keep',
    reason: 'unknown-age'
  })
  expect(decide(ago(hour))).toMatchObject(removed)
  expect(decide(ago(hour), { createdAt: ago(59 * minute) })).toMatchObject({
    reason: 'recent'
  })
})

test('an image missing from the ledger arrived after the last run, if its tag has no date', () => {
  const decide = (parts: object, ledger: [] | undefined = []) =>
    decisionOf('i', { images: [image('i', parts)], ledger })
  const references = ['app:1']
  const undated = { references, taggedAt: undefined }
  expect(decide(undated)).toMatchObject({
    reason: 'recent',
    detail: 'first seen 0 s ago'
  })
  expect(decide({ references, taggedAt: ago(day) })).toMatchObject(removed)
  expect(decide({})).toMatchObject(removed)
  expect(
    decisionOf('i', { images: [image('i', { references })] })
  ).toMatchObject(removed)
})

test('an image dated in the future neither counts for keep-last nor is kept', () => {
  const images = [
    image('1', { references: ['app:1'], createdAt: now + 365 * day }),
    image('2', { references: ['app:2'], createdAt: ago(2 * day) }),
    image('3', { references: ['app:3'], createdAt: ago(3 * day) })
  ]
  const decide = (keepLast: number) =>
    images.map(({ id }) => decisionOf(id, { images }, { keepLast })?.reason)
  expect(decide(1)).toEqual(['expired', 'keep-last', 'expired'])
  expect(decide(0)).toEqual(['expired', 'expired', 'expired'])
  // By its tag date, it is among the newest.
  const arrived = [
    image('1', { ...images[0], taggedAt: ago(day) }),
    ...images.slice(1)
  ]
  const reasons = (keepLast: number) =>
    ['1', '2', '3'].map(
      (id) => decisionOf(id, { images: arrived }, { keepLast })?.reason
    )
  expect(reasons(1)).toEqual(['keep-last', 'keep-last', 'expired'])
  expect(reasons(0)).toEqual(['expired', 'expired', 'expired'])
})

test('if the engine’s clock was set back, resources dated in the future are of unknown age until watched', () => {
  const seen = (id: string) => ({ id, since: ago(2 * day), arrived: false })
  const decide = (ahead: number) => {
    const dates = { createdAt: now + ahead }
    const held = {
      containers: [
        container('ran', { ...dates, finishedAt: now + ahead }),
        container('made', { ...dates, state: 'created' }),
        container('ended', { finishedAt: now + ahead })
      ],
      networks: [network('n', dates)],
      volumes: [volume('a'.repeat(64), dates), volume('named', dates)],
      images: [image('i', { taggedAt: now + ahead })],
      ledger: ['n', 'i', 'a'.repeat(64), 'named'].map(seen)
    }
    const watched = ['n', 'a'.repeat(64), 'named', 'i']
    return ['ran', 'made', 'ended', ...watched].map(
      (id) => decisionOf(id, held)?.reason
    )
  }
  expect(new Set(decide(hour))).toEqual(new Set(['unknown-age']))
  const [ran, made, ended, ...watched] = decide(2 * day)
  expect([ran, made, ended]).toEqual(Array(3).fill('unknown-age'))
  expect(watched).toEqual(['expired', 'expired', 'expired', 'dangling'])
})

test('an event in the future shows neither an age nor the start of the log', () => {
  const event = { type: 'image', action: 'load', image: '' }
  const decide = (at: number, parts: object = {}) =>
    decisionOf('i', {
      images: [image('i', { references: ['app:1'], ...parts })],
      events: [{ ...event, id: 'i', at }]
    })?.reason
  expect(decide(now + 2 * day)).toBe('unknown-age')
  const other = { taggedAt: undefined, references: ['web:1'] }
  expect(decide(now + 2 * day, other)).toBe('unknown-age')
})

test('a long event log does not override a known date', () => {
  const event = { type: 'image', image: '' }
  const events = [
    { ...event, type: 'plugin', action: 'enable', id: 'x', at: ago(10 * day) },
    // A load event has no name.
    { ...event, action: 'load', id: 'i', at: ago(10 * minute) }
  ]
  const parts = { references: ['app:1'], taggedAt: undefined }
  const ledger = [{ id: 'i', since: ago(5 * minute), arrived: true }]
  const decide = (dates: object) =>
    decisionOf('i', {
      images: [image('i', { ...parts, ...dates })],
      events,
      ledger
    })
  expect(decide({})).toMatchObject({
    reason: 'recent',
    detail: 'first seen 5 min ago'
  })
  // Nor does it override a use that may be recent.
  expect(decide({ taggedAt: now + hour })?.reason).toBe('unknown-age')
})

test('a Compose dependency is in use, but a one-off container of the same service is not', () => {
  const compose = (service: string, more: Record<string, string> = {}) => ({
    'com.docker.compose.project': 'shop',
    'com.docker.compose.service': service,
    ...more
  })
  const containers = [
    container('web', {
      state: 'running',
      labels: compose('web', {
        'com.docker.compose.depends_on': 'db:service_started:true'
      })
    }),
    container('db', { labels: compose('db') }),
    container('once', {
      labels: compose('db', { 'com.docker.compose.oneoff': 'True' })
    })
  ]
  const decide = (id: string) => decisionOf(id, { containers })?.reason
  expect(['db', 'once'].map(decide)).toEqual(['in-use', 'expired'])
})

test('a bind mount of a volume’s folder or a subfolder is a use', () => {
  const decide = (source: string) =>
    decisionOf('data', {
      containers: [container('c', { state: 'running', binds: [source] })],
      volumes: [volume('data')],
      ledger: [{ id: 'data', since: ago(day), arrived: false }]
    })?.reason
  const all = '/mnt/docker/volumes'
  for (const source of [
    `${all}/data`,
    `${all}/data/_data`,
    `${all}/data/_data/x`
  ])
    expect(decide(source)).toBe('in-use')
  for (const source of [all, `${all}/database`, `${all}/other/_data`])
    expect(decide(source)).toBe('expired')
})

test('if the engine does not log builds, a tag without a date may be from a recent build', () => {
  const images = [image('i', { references: ['app:1'], taggedAt: undefined })]
  const event = { type: 'plugin', action: 'enable', id: 'x', image: '' }
  const events = [{ ...event, at: ago(2 * day) }]
  const decide = (logsBuilds: boolean) => {
    const engine = { ...inventory().engine, logsBuilds }
    return decisionOf('i', { engine, images, events })?.reason
  }
  expect(decide(true)).toBe('expired')
  expect(decide(false)).toBe('unknown-age')
})

test('a short event log does not override what an earlier run saw', () => {
  const held = {
    images: [image('i', { pulled: true })],
    events: [
      {
        ...{ at: ago(50 * minute), type: 'plugin', action: 'enable' },
        ...{ id: 'x', image: '' }
      }
    ],
    ledger: [{ id: 'i', since: ago(20 * minute), arrived: false }],
    remembers: true
  }
  expect(decisionOf('i', held)).toMatchObject({
    reason: 'unknown-age',
    detail: expect.stringMatching(/from 2026-01-31 12:40 UTC if still unused$/)
  })
})

test('for unknown age, the detail says when the resource can be removed, if runs are remembered', () => {
  const held = { images: [image('i', { pulled: true })] }
  expect(decisionOf('i', { ...held, remembers: true })?.detail).toContain(
    'can be removed from 2026-01-31 13:00 UTC if still unused'
  )
  expect(decisionOf('i', held)?.detail).not.toContain('UTC')
  const detailWith = (
    parts: Parameters<typeof decisionOf>[2],
    dates: object = {}
  ) =>
    decisionOf(
      'i',
      { images: [image('i', { pulled: true, ...dates })], remembers: true },
      parts
    )?.detail
  // In these cases, waiting does not help.
  expect(detailWith({ until: { time: ago(day) } })).toMatch(
    /only removed if until is a duration$/
  )
  const undated = [image('i', { createdAt: undefined })]
  expect(
    decisionOf(
      'i',
      { images: undated, remembers: true },
      { ageFrom: 'created' }
    )
  ).toMatchObject({
    detail: 'no valid creation date, which age-from: created requires',
    input: 'age-from'
  })
})

const podman = { ...inventory().engine, kind: 'podman' } as const

test.each([
  ['a named one, even if watched', 'data', 'named-volume'],
  ['a watched anonymous one', 'a'.repeat(64), 'expired'],
  ['an unwatched anonymous one', 'b'.repeat(64), 'unknown-age']
])('volumes on Podman: %s', (_, name, reason) => {
  const watched = ['data', 'a'.repeat(64)]
  const held = {
    engine: podman,
    volumes: [volume(name)],
    ledger: watched.map((id) => ({ id, since: ago(day), arrived: false }))
  }
  expect(decisionOf(name, held)).toMatchObject({ reason })
})

test('on Podman, the start of the event log shows no age: buildah and skopeo are not in it', () => {
  const event = { type: 'network', action: 'create', id: 'x', image: '' }
  const held = {
    images: [image('old', { pulled: true, references: ['old:1'] })],
    events: [{ ...event, at: ago(3 * day) }]
  }
  expect(decisionOf('old', held)).toMatchObject(removed)
  expect(decisionOf('old', { ...held, engine: podman })).toMatchObject({
    reason: 'unknown-age'
  })
})

test('if the engine removes parents along with images, the last child of a kept parent is kept', () => {
  const family = (others: string[]) => ({
    engine: { ...podman, takesParents: true },
    images: [
      image('parent', { labels: { keep: '' } }),
      image('middle', { parent: 'parent' }),
      image('child', { parent: 'middle', references: ['child:1'] }),
      ...others.map((id) =>
        image(id, { parent: 'parent', labels: { keep: '' } })
      )
    ]
  })
  const wanted = {
    protectedLabels: [{ key: 'keep', value: undefined }]
  }
  for (const id of ['child', 'middle'])
    expect(decisionOf(id, family([]), wanted)).toMatchObject({
      action: 'keep',
      reason: 'in-use'
    })
  for (const id of ['child', 'middle'])
    expect(decisionOf(id, family(['sibling']), wanted)).toMatchObject(removed)
})
