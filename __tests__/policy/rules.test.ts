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

// Single rules, each on the smallest inventory that shows it; the properties are in plan.test.ts.

const removed = { action: 'remove' }
const ago = (milliseconds: number) => now - milliseconds

test.each([
  [
    'its build and its tag, the later',
    { createdAt: ago(2 * day), taggedAt: ago(minute) },
    'recent'
  ],
  [
    'its tag alone',
    { createdAt: undefined, taggedAt: ago(2 * day) },
    'dangling'
  ],
  [
    'an old tag and a late build',
    { createdAt: ago(minute), taggedAt: ago(2 * day) },
    'recent'
  ],
  [
    'a date of a reproducible build, which is none',
    { createdAt: Date.UTC(1980, 0, 1), taggedAt: undefined },
    'unknown-age'
  ],
  [
    'a build somewhere else, which is no evidence',
    { createdAt: ago(2 * day), pulled: true },
    'unknown-age'
  ],
  [
    'a build somewhere else and a tag here',
    { createdAt: ago(60 * day), taggedAt: ago(2 * day), pulled: true },
    'dangling'
  ],
  ['a date that is yet to come', { createdAt: now + day }, 'dangling'],
  ['a tag that is yet to come', { taggedAt: now + day }, 'unknown-age'],
  ['a tag a little ahead', { taggedAt: now + 5 * minute }, 'recent'],
  ['a load at an unknown time', { taggedAt: undefined }, 'unknown-age'],
  [
    'a step of the classic builder',
    { taggedAt: undefined, parent: 'base' },
    'dangling'
  ]
])('the age of an image by %s', (_, dates, reason) => {
  expect(decisionOf('i', { images: [image('i', dates)] })?.reason).toBe(reason)
})

test('the age is said with what shows it', () => {
  expect(
    decisionOf('i', {
      images: [image('i', { createdAt: ago(3 * day), taggedAt: ago(5 * hour) })]
    })?.detail
  ).toBe('tagged 5 h ago')
  expect(
    decisionOf('c', {
      containers: [container('c', { finishedAt: ago(5 * hour) })]
    })?.detail
  ).toBe('stopped 5 h ago')
})

test('an age of exactly until is enough', () => {
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
])('%s stays for its first ten minutes', (_, id, held) => {
  const short = { until: { duration: minute } }
  expect(decisionOf(id, held, short)).toMatchObject({
    action: 'keep',
    reason: 'recent'
  })
  expect(decisionOf(id, held, { until: { duration: 0 } })).toMatchObject(
    removed
  )
})

test('a network is as old as the end of the last container on it, and a volume likewise', () => {
  const containers = [
    container('c', {
      networks: ['n'],
      volumes: ['a'.repeat(64)],
      finishedAt: ago(minute)
    })
  ]
  const late = { until: { duration: 0 } }
  const held = {
    containers,
    networks: [network('n')],
    volumes: [volume('a'.repeat(64))]
  }
  expect(decisionOf('n', held, late)?.detail).toBe(
    'last used by a container 60 s ago'
  )
  expect(decisionOf('a'.repeat(64), held, late)?.detail).toBe(
    'last used by a container 60 s ago'
  )
})

test.each([
  ['Docker’s own', network('n', { name: 'bridge' }), 'built-in'],
  ['the ingress of a swarm', network('n', { ingress: true }), 'built-in'],
  ['one of a swarm', network('n', { scope: 'swarm' }), 'in-use'],
  ['one with running containers', network('n', { containers: ['c'] }), 'in-use']
])('a network stays: %s', (_, one, reason) => {
  expect(decisionOf('n', { networks: [one] })).toMatchObject({
    action: 'keep',
    reason
  })
})

test('a network stays while another one that stays is made from it', () => {
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
  ['by a bind of its folder', { binds: ['/volumes/v/_data'] }],
  ['by a bind of a folder in it', { binds: ['/volumes/v/_data/sub'] }]
])('a volume that a staying container uses %s stays', (_, uses) => {
  const volumes = [volume('v')]
  const late = { until: { duration: 0 } }
  expect(
    decisionOf(
      'v',
      { volumes, containers: [container('c', { state: 'running', ...uses })] },
      late
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
      late
    )
  ).toMatchObject(removed)
})

test('on Windows one folder can be written in several ways', () => {
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
  ['the start of its ID', 'abcd', true],
  ['the start of its ID with the algorithm', 'sha256:abcd', true],
  ['another ID', 'abce', false],
  ['a tag', 'app', true],
  ['a tag in full', 'docker.io/library/app:latest', true],
  ['another tag', 'app:2', false],
  ['a digest that is its ID', 'other@sha256:abcd1234', true],
  ['a tag and a digest that is its ID', 'app:9@sha256:abcd1234', true],
  ['a digest of its own', 'app@sha256:ffff', true],
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

test('a container’s image is the one of its ID, whatever its name means by now', () => {
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

test('a glob with a digest protects an image that is known by it, also where the store makes it up', () => {
  const images = [
    image('i', { references: ['app:1'], digests: ['app@sha256:ffff'] })
  ]
  expect(
    decisionOf('i', { images }, { protectedImages: ['app@sha256:ffff'] })
  ).toMatchObject({ reason: 'protected-image' })
})

test('among the newest count images of known age only, by their build', () => {
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
  const of = (id: string, until = hour) =>
    decisionOf(id, { images }, { keepLast: 2, until: { duration: until } })
      ?.reason
  expect(['1', '2', '3', '4'].map((id) => of(id))).toEqual([
    'expired',
    'keep-last',
    'keep-last',
    'unknown-age'
  ])
  expect(['1', '2', '3', '4'].map((id) => of(id, 0))).toEqual([
    'expired',
    'expired',
    'keep-last',
    'keep-last'
  ])
})

test('a pattern that matches nothing is named with its input', () => {
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
  // Without the registry, or the owner.
  ['protected-images', 'acme/web:1', 'ghcr.io/acme/web:1'],
  ['protected-images', 'web', 'ghcr.io/acme/web:1'],
  ['protected-images', 'redis', undefined],
  // It stays anyway.
  ['protected-images', 'kept:2', undefined],
  ['protected-labels', 'stage=prd', 'stage=prod'],
  ['protected-labels', 'stages', 'stage'],
  ['protected-labels', 'owner', undefined]
] as const)('%s: %s is near %s', (input, pattern, nearest) => {
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
  const near = nearest === undefined ? {} : { nearest }
  expect(makePlan(held, wanted).unmatched).toEqual([
    { input, pattern, ...near }
  ])
})

test('a pattern of tags that no image of the repository has is named', () => {
  const held = inventory({ images: [image('i', { references: ['web:pr-1'] })] })
  const scope = pullRequests({ patterns: ['pr-{number}', 'PR-{number}'] })
  expect(makePlan(held, policy({ scope })).unmatched).toEqual([
    { input: 'pull-request-patterns', pattern: 'PR-{number}' }
  ])
})

test.each([
  ['idle for long enough', cacheRecord(), 100, 100],
  [
    'perhaps idle for long enough',
    cacheRecord({ idle: { least: 0, most: day } }),
    0,
    100
  ],
  [
    'hardly idle for long enough',
    cacheRecord({ idle: { least: hour + 999, most: day } }),
    0,
    100
  ],
  ['rewritable', cacheRecord({ rewritable: true }), 0, 100],
  ['in use', cacheRecord({ inUse: true }), undefined, undefined],
  ['internal', cacheRecord({ internal: true }), undefined, undefined],
  [
    'shared with an image that stays',
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
])('a record of the build cache that is %s', (_, record, least, most) => {
  const { items } = makePlan(
    inventory({ buildCache: { records: [record] } }),
    policy()
  )
  const [cache] = items
  expect(cache?.decision.action).toBe(least === undefined ? 'keep' : 'remove')
  expect(cache).toMatchObject({ bytes: least ?? 0, bytesAtMost: most ?? 0 })
})

test('a record that an image shares may go when that image goes, and counts with the image', () => {
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

test('a record that another one was built on goes for certain only if that one does', () => {
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

test('what a cache mount was built on goes for certain only if the mount does', () => {
  const records = [
    cacheRecord({ id: 'parent' }),
    cacheRecord({ id: 'mount', parents: ['parent'], rewritable: true })
  ]
  const { items } = makePlan(inventory({ buildCache: { records } }), policy())
  expect(items.at(-1)).toMatchObject({ bytes: 0, bytesAtMost: 200 })
})

test('what a record of a base image frees is an estimate, unless that image has it', () => {
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

test('build-cache-keep is taken off what can go', () => {
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
    // The builder goes on until no more than that is left: here by one record of 100.
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

test('a build cache that the engine does not list is left to the builder', () => {
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
  'what the runner owns stays for a day, whatever until says: %s',
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

test('what the runner made stays for a day, and as long as the oldest job that runs may need it', () => {
  const of = (idle: number, oldestJob?: number) =>
    decisionOf('n', {
      oldestJob,
      networks: [
        network('n', {
          name: 'github_network_1',
          createdAt: ago(idle)
        })
      ]
    })?.reason
  expect(of(23 * hour, Infinity)).toBe('runner-owned')
  expect(of(day, Infinity)).toBe('expired')
  expect(of(3 * day, ago(3 * day + hour))).toBe('runner-owned')
  expect(of(3 * day, ago(3 * day))).toBe('expired')
  expect(of(23 * hour, ago(minute))).toBe('runner-owned')
  // Where nobody can see the jobs.
  expect(of(5 * day - minute, undefined)).toBe('runner-owned')
  expect(of(5 * day, undefined)).toBe('expired')
})

test('what the runner pulled at an unknown time is fresh', () => {
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
    'a build that came to it once more',
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
    'a container of the tag latest, which is another image',
    { type: 'container', action: 'die', id: 'gone', image: 'app' },
    'created 30 days ago'
  ],
  [
    'a container by its name',
    {
      type: 'container',
      action: 'die',
      id: 'gone',
      image: 'docker.io/library/app:1'
    },
    'last used by a container 5 min ago'
  ],
  [
    'an event that is no use',
    { type: 'image', action: 'untag', id: 'sha256:i' },
    'created 30 days ago'
  ],
  [
    'the event of another image',
    { type: 'image', action: 'pull', id: 'app:2' },
    'created 30 days ago'
  ]
])('the log shows the use of an image: %s', (_, parts, detail) => {
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

test('a container’s event is about the image of the container, if that is still known', () => {
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

test('the log shows the use of networks and volumes', () => {
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

test('an image of unknown age came before the log began, if that is long enough ago', () => {
  const held = (began: number) => ({
    images: [
      image('i', { pulled: true, references: ['app:1'] }),
      // Of one whose tag has moved on, the log has no word.
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
  // It was not there when an earlier run looked.
  const came = { ...held(hour), ledger: [] }
  expect(decisionOf('i', came)?.reason).toBe('unknown-age')
  // Of a tag that means another image by now, the log may have told.
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

test('a container without an end has been idle for nobody knows how long', () => {
  const of = (dates: object, wanted: Parameters<typeof decisionOf>[2] = {}) =>
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
  expect(of(started)).toMatchObject(none)
  // The end is that of an earlier time.
  expect(of({ ...started, finishedAt: ago(9 * day) })).toMatchObject(none)
  expect(of({ ...started, finishedAt: ago(2 * day) - 1 })).toMatchObject(
    removed
  )
  expect(of({ startedAt: undefined, finishedAt: undefined })).toMatchObject(
    removed
  )
  expect(of(started, { ageFrom: 'created' })).toMatchObject(removed)
  expect(of(started, { until: { duration: 0 } })).toMatchObject(removed)
})

test('a container that was never started may have its network by the start of the ID', () => {
  const id = '3f2a4b5c6d7e'.padEnd(64, '0')
  const of = (name: string, dates: object = {}) => {
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
    expect(of(name)).toMatchObject({ reason: 'in-use' })
  for (const name of ['4f2a', '3f', '', 'name'])
    expect(of(name)).toMatchObject(removed)
  // Of one that was, the whole ID is known: this is a name.
  expect(of('3f2a', { startedAt: ago(minute) })).toMatchObject(removed)
})

test('what a ledger has seen counts: use, arrival, and for what nothing else tells of the first look', () => {
  const of = (parts: object, dates: object = {}) =>
    decisionOf('i', {
      images: [image('i', dates)],
      ledger: [{ id: 'i', since: ago(2 * day), arrived: false, ...parts }]
    })
  expect(of({ usedAt: ago(minute) })).toMatchObject({
    reason: 'recent',
    detail: 'seen in use 60 s ago'
  })
  const arrived = { since: ago(minute), arrived: true }
  expect(of(arrived, { taggedAt: undefined })).toMatchObject({
    reason: 'recent',
    detail: 'first seen 60 s ago'
  })
  // The engine tells when that was.
  expect(of(arrived, { taggedAt: ago(day) })).toMatchObject(removed)
  // It was there at the first look already: nobody knows since when.
  expect(of({ since: ago(minute) })).toMatchObject({
    action: 'remove',
    detail: 'created 30 days ago'
  })
  expect(of({}, { pulled: true })).toMatchObject({
    action: 'remove',
    detail: 'first seen 2 days ago'
  })
  // Watched for too short a time to tell anything: it takes no place among the newest, either.
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

test('a named volume goes only after it was watched for until, and then by its latest use', () => {
  const of = (since: number | undefined, parts: object = {}) =>
    decisionOf('v', {
      volumes: [volume('v', parts)],
      ledger:
        since === undefined ? undefined : [{ id: 'v', since, arrived: false }],
      remembers: true
    })
  expect(of(undefined)).toMatchObject({ action: 'keep', reason: 'unknown-age' })
  expect(of(ago(59 * minute))).toMatchObject({
    action: 'keep',
    reason: 'unknown-age'
  })
  expect(of(ago(hour))).toMatchObject(removed)
  expect(of(ago(hour), { createdAt: ago(59 * minute) })).toMatchObject({
    reason: 'recent'
  })
})

test('what a ledger has not seen came since it was written, if its tag has no date', () => {
  const of = (parts: object, ledger: [] | undefined = []) =>
    decisionOf('i', { images: [image('i', parts)], ledger })
  const references = ['app:1']
  const undated = { references, taggedAt: undefined }
  expect(of(undated)).toMatchObject({
    reason: 'recent',
    detail: 'first seen 0 s ago'
  })
  expect(of({ references, taggedAt: ago(day) })).toMatchObject(removed)
  expect(of({})).toMatchObject(removed)
  expect(
    decisionOf('i', { images: [image('i', { references })] })
  ).toMatchObject(removed)
})

test('a date to come takes no place among the newest, and does not keep an image', () => {
  const images = [
    image('1', { references: ['app:1'], createdAt: now + 365 * day }),
    image('2', { references: ['app:2'], createdAt: ago(2 * day) }),
    image('3', { references: ['app:3'], createdAt: ago(3 * day) })
  ]
  const of = (keepLast: number) =>
    images.map(({ id }) => decisionOf(id, { images }, { keepLast })?.reason)
  expect(of(1)).toEqual(['expired', 'keep-last', 'expired'])
  expect(of(0)).toEqual(['expired', 'expired', 'expired'])
  // By its arrival it is among the newest.
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

test('what was dated before the engine’s clock was set back is of unknown age, until earlier runs have watched it', () => {
  const seen = (id: string) => ({ id, since: ago(2 * day), arrived: false })
  const of = (ahead: number) => {
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
  expect(new Set(of(hour))).toEqual(new Set(['unknown-age']))
  const [ran, made, ended, ...watched] = of(2 * day)
  expect([ran, made, ended]).toEqual(Array(3).fill('unknown-age'))
  expect(watched).toEqual(['expired', 'expired', 'expired', 'dangling'])
})

test('an event that is yet to come is no sign of an age, nor of when the log began', () => {
  const event = { type: 'image', action: 'load', image: '' }
  const of = (at: number, parts: object = {}) =>
    decisionOf('i', {
      images: [image('i', { references: ['app:1'], ...parts })],
      events: [{ ...event, id: 'i', at }]
    })?.reason
  expect(of(now + 2 * day)).toBe('unknown-age')
  const other = { taggedAt: undefined, references: ['web:1'] }
  expect(of(now + 2 * day, other)).toBe('unknown-age')
})

test('a log that reaches back far says nothing against a date that is known', () => {
  const event = { type: 'image', image: '' }
  const events = [
    { ...event, type: 'plugin', action: 'enable', id: 'x', at: ago(10 * day) },
    // It has no name.
    { ...event, action: 'load', id: 'i', at: ago(10 * minute) }
  ]
  const parts = { references: ['app:1'], taggedAt: undefined }
  const ledger = [{ id: 'i', since: ago(5 * minute), arrived: true }]
  const of = (dates: object) =>
    decisionOf('i', {
      images: [image('i', { ...parts, ...dates })],
      events,
      ledger
    })
  expect(of({})).toMatchObject({
    reason: 'recent',
    detail: 'first seen 5 min ago'
  })
  // Nor against a use that may have been a moment ago.
  expect(of({ taggedAt: now + hour })?.reason).toBe('unknown-age')
})

test('what a service needs is seen in use, and a container that somebody ran once is needed by none', () => {
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
  const of = (id: string) => decisionOf(id, { containers })?.reason
  expect(['db', 'once'].map(of)).toEqual(['in-use', 'expired'])
})

test('a bind of the folder of a volume, or of what is in it, is a use', () => {
  const of = (source: string) =>
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
    expect(of(source)).toBe('in-use')
  for (const source of [all, `${all}/database`, `${all}/other/_data`])
    expect(of(source)).toBe('expired')
})

test('where no build is in the log, a tag without a date may be of a build a moment ago', () => {
  const images = [image('i', { references: ['app:1'], taggedAt: undefined })]
  const event = { type: 'plugin', action: 'enable', id: 'x', image: '' }
  const events = [{ ...event, at: ago(2 * day) }]
  const of = (logsBuilds: boolean) => {
    const engine = { ...inventory().engine, logsBuilds }
    return decisionOf('i', { engine, images, events })?.reason
  }
  expect(of(true)).toBe('expired')
  expect(of(false)).toBe('unknown-age')
})

test('an event log that does not go back far enough takes nothing from what an earlier run saw', () => {
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
    detail: expect.stringMatching(/from 2026-01-31 12:40 UTC on$/)
  })
})

test('what is of unknown age is said when it can go, if that is remembered', () => {
  const held = { images: [image('i', { pulled: true })] }
  expect(decisionOf('i', { ...held, remembers: true })?.detail).toContain(
    'it can go from 2026-01-31 13:00 UTC on'
  )
  expect(decisionOf('i', held)?.detail).not.toContain('UTC')
  const said = (parts: Parameters<typeof decisionOf>[2], dates: object = {}) =>
    decisionOf(
      'i',
      { images: [image('i', { pulled: true, ...dates })], remembers: true },
      parts
    )?.detail
  // Neither comes with time.
  expect(said({ until: { time: ago(day) } })).toMatch(/after it never goes$/)
  const undated = [image('i', { createdAt: undefined })]
  expect(
    decisionOf(
      'i',
      { images: undated, remembers: true },
      { ageFrom: 'created' }
    )
  ).toMatchObject({
    detail: 'it has no date, and age-from: created counts nothing else',
    input: 'age-from'
  })
})

const podman = { ...inventory().engine, kind: 'podman' } as const

test.each([
  ['a named one, though it was watched', 'data', 'named-volume'],
  ['an anonymous one that was watched', 'a'.repeat(64), 'expired'],
  ['an anonymous one that was not', 'b'.repeat(64), 'unknown-age']
])('of volumes on Podman: %s', (_, name, reason) => {
  const watched = ['data', 'a'.repeat(64)]
  const held = {
    engine: podman,
    volumes: [volume(name)],
    ledger: watched.map((id) => ({ id, since: ago(day), arrived: false }))
  }
  expect(decisionOf(name, held)).toMatchObject({ reason })
})

test('on Podman the beginning of the log tells no age: buildah and skopeo are not in it', () => {
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

test('where the engine takes parents along, the last child of one that has to stay does so, too', () => {
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
