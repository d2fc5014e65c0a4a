import fc from 'fast-check'
import type {
  Container,
  Image,
  Inventory,
  Network,
  Volume
} from '../../src/model/inventory.ts'
import type { Policy } from '../../src/model/policy.ts'
import type { Scope } from '../../src/model/policy.ts'
import { parseRules } from '../../src/inputs/rules.ts'
import type { Rule } from '../../src/model/rules.ts'
import { pullRequests } from '../builders.ts'

/** The engine's time in all generated inventories. */
export const now = Date.UTC(2026, 0, 31, 12)
const minute = 60_000
const day = 24 * 60 * minute

const anyLabels = fc.dictionary(
  fc.constantFrom('keep', 'team', 'com.example.role'),
  fc.constantFrom('', 'web', 'api'),
  { maxKeys: 2 }
)
/** Labels that name pull requests, of this repository or others. */
const pullRequestLabels = fc.record(
  {
    'org.opencontainers.image.source': fc.constantFrom(
      'https://github.com/acme/web',
      'https://github.com/acme/web',
      'https://github.com/acme/api'
    ),
    'org.opencontainers.image.version': fc.constantFrom(
      'pr-1',
      'pr-1',
      'pr-12'
    ),
    'com.docker.compose.project': fc.constantFrom(
      'acme-web-pr-1',
      'web-pr-12',
      'api-pr-1',
      'pr-1'
    )
  },
  { requiredKeys: [] }
)
const labels: fc.Arbitrary<Record<string, string>> = fc
  .tuple(anyLabels, fc.option(pullRequestLabels))
  .map(([some, more]) => ({ ...some, ...more }))
/** Plausible dates, no date, Docker's zero time, those of reproducible builds, and a future one. */
const instant = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .integer({ min: 0, max: 30 * 24 * 60 })
      .map((ago) => now - ago * minute)
  },
  fc.constantFrom(
    undefined,
    Date.UTC(1970),
    Date.UTC(1980),
    Date.parse('0001-01-01T00:00:00Z'),
    now + day
  )
)
const repositories = ['app', 'acme/web', 'acme/api', '127.0.0.1:5000/app']
const references = repositories.flatMap((repository) => [
  ...['1', '2', 'latest', 'pr-1', 'pr-12-x', 'a-pr-1'].map(
    (tag) => `${repository}:${tag}`
  ),
  `${repository}@sha256:${'a'.repeat(64)}`
])
const imageIds = Array.from(
  { length: 8 },
  (_, index) => `sha256:${String(index).repeat(64)}`
)
const containerIds = ['c0', 'c1', 'c2', 'c3', 'c4', 'b0', 'b1']
/** Names given by buildx, and a similar one that is not. */
const names: Record<string, string> = {
  b0: 'buildx_buildkit_b0',
  b1: 'buildx_buildkit_b1',
  c4: 'buildx_buildkit-c4'
}
const networkNames = ['bridge', 'host', 'net0', 'net1', 'net2']
const volumeNames = [
  ...['data', 'cache', 'a'.repeat(64), 'b'.repeat(64)],
  ...['b0', 'b1', 'gone'].map((name) => `buildx_buildkit_${name}_state`),
  'buildx_buildkit-c4_state'
]

/** Each reference belongs to one image, and parents come before their children. */
const images: fc.Arbitrary<Image[]> = fc
  .tuple(
    fc.subarray(imageIds),
    fc.array(fc.nat({ max: imageIds.length }), {
      minLength: references.length,
      maxLength: references.length
    })
  )
  .chain(([ids, owners]) =>
    fc.tuple(
      ...ids.map((id, index) =>
        fc.record({
          id: fc.constant(id),
          references: fc.constant(
            references.filter((_, at) => owners[at] === index)
          ),
          digests: fc.constantFrom<string[]>(
            [],
            [`app@sha256:${'d'.repeat(64)}`]
          ),
          aliases: fc.constant<string[]>([]),
          parent: fc.option(
            fc.constantFrom(...ids.slice(0, index), 'sha256:elsewhere'),
            { nil: undefined }
          ),
          createdAt: instant,
          taggedAt: instant,
          labels,
          bytes: fc.nat({ max: 1_000_000 }),
          layers: fc.array(fc.constantFrom('l0', 'l1', 'l2'), { maxLength: 3 }),
          pulled: fc.boolean(),
          byBuildKit: fc.boolean()
        })
      )
    )
  )

const containers: fc.Arbitrary<Container[]> = fc
  .subarray(containerIds)
  .chain((ids) =>
    fc.tuple(
      ...ids.map((id) =>
        fc.record({
          id: fc.constant(id),
          name: fc.constant(names[id] ?? `name-of-${id}`),
          state: fc.constantFrom(
            'created',
            'running',
            'running',
            'paused',
            'restarting',
            'stopped',
            'removing',
            'exited',
            'dead'
          ),
          createdAt: instant,
          startedAt: instant,
          finishedAt: instant,
          restartPolicy: fc.constantFrom('', 'no', 'no', 'always'),
          autoRemove: fc.boolean(),
          restarts: fc.nat(2),
          labels,
          image: fc.constantFrom(...imageIds, ''),
          imageReference: fc.constantFrom(...references),
          mountedImages: fc.subarray(references, { maxLength: 1 }),
          networks: fc.subarray([...networkNames, 'id-of-net0', 'id-of-net1'], {
            maxLength: 2
          }),
          volumes: fc.subarray(volumeNames, { maxLength: 2 }),
          binds: fc.subarray(['/srv', '/var/lib/docker/volumes/data/_data'], {
            maxLength: 1
          }),
          joins: fc.subarray([...containerIds, 'name-of-c0'], {
            maxLength: 1
          }),
          execs: fc.constantFrom<string[] | undefined>(
            [],
            [],
            [],
            ['process'],
            undefined
          )
        })
      )
    )
  )

const networks: fc.Arbitrary<Network[]> = fc
  .subarray(networkNames)
  .chain((names) =>
    fc.tuple(
      ...names.map((name) =>
        fc.record({
          id: fc.constant(`id-of-${name}`),
          name: fc.constant(name),
          scope: fc.constantFrom('local', 'local', 'swarm'),
          createdAt: instant,
          labels,
          ingress: fc.boolean(),
          configFrom: fc.constantFrom(undefined, undefined, 'net2'),
          containers: fc.constantFrom<string[]>([], [], ['c9'])
        })
      )
    )
  )

const volumes: fc.Arbitrary<Volume[]> = fc
  .subarray(volumeNames)
  .chain((names) =>
    fc.tuple(
      ...names.map((name) =>
        fc.record({
          name: fc.constant(name),
          driver: fc.constantFrom('local', 'local', 'nfs'),
          createdAt: instant,
          labels,
          options: fc.constantFrom({}, {}, { type: 'tmpfs' }),
          mountpoint: fc.constant(`/var/lib/docker/volumes/${name}/_data`)
        })
      )
    )
  )

const cacheRecord = fc.record({
  id: fc.string({ minLength: 1 }),
  base: fc.boolean(),
  parents: fc.constant<string[]>([]),
  bytes: fc.nat({ max: 1_000_000 }),
  idle: fc
    .nat({ max: 30 * day })
    .map((least) => ({ least, most: least + minute })),
  inUse: fc.boolean(),
  shared: fc.boolean(),
  internal: fc.boolean(),
  rewritable: fc.boolean()
})

const event = fc.record({
  at: fc
    .integer({ min: 0, max: 30 * 24 * 60 })
    .map((ago) => now - ago * minute),
  type: fc.constantFrom('image', 'container', 'network', 'volume', 'plugin'),
  action: fc.constantFrom(
    'pull',
    'load',
    'tag',
    'untag',
    'create',
    'start',
    'die',
    'mount',
    'connect',
    'exec_start: buildctl dial-stdio',
    'destroy'
  ),
  id: fc.constantFrom(
    ...imageIds,
    ...references,
    ...containerIds,
    ...volumeNames,
    'id-of-net0'
  ),
  image: fc.constantFrom('', ...references)
})

const ledgerEntry = fc.record({
  id: fc.constantFrom(...imageIds, ...volumeNames, 'id-of-net0'),
  since: fc
    .integer({ min: 0, max: 30 * 24 * 60 })
    .map((ago) => now - ago * minute),
  arrived: fc.boolean(),
  usedAt: instant
})

export const inventories: fc.Arbitrary<Inventory> = fc.record({
  engine: fc.record({
    kind: fc.constantFrom('docker', 'docker', 'podman'),
    name: fc.constant('host'),
    id: fc.constant('id'),
    version: fc.constant('28.5.2'),
    store: fc.constant('overlay2'),
    now: fc.constant(now),
    rootDir: fc.constant('/var/lib/docker'),
    kernel: fc.constant('6'),
    takesParents: fc.boolean(),
    swarm: fc.constantFrom('none', 'none', 'manager', 'worker'),
    logsBuilds: fc.boolean()
  }),
  containers,
  services: fc.constantFrom([], undefined),
  images,
  networks,
  volumes,
  buildCache: fc.record({
    records: fc.option(fc.array(cacheRecord, { maxLength: 5 }), {
      nil: undefined
    })
  }),
  events: fc.array(event, { maxLength: 5 }),
  ledger: fc.option(
    fc.uniqueArray(ledgerEntry, { maxLength: 4, selector: ({ id }) => id }),
    {
      nil: undefined
    }
  ),
  remembers: fc.boolean(),
  unreadable: fc.constant([]),
  oldestJob: fc.constantFrom(Infinity, undefined, now - 3 * day),
  self: fc.constantFrom(undefined, 'c0')
})

const globs = [
  'app',
  'acme/*',
  '**',
  'app:latest',
  '127.0.0.1:5000/**',
  'other'
]
const patterns = [
  { key: 'keep', value: undefined },
  { key: 'team', value: 'web' },
  { key: 'com.example.*', value: undefined }
]

export const pullRequestScopes: fc.Arbitrary<Scope> = fc
  .uniqueArray(
    fc.tuple(
      fc.constantFrom(1, 12),
      fc.constantFrom('closed', 'closed', 'open', 'unknown')
    ),
    { selector: ([number]) => number }
  )
  .map((states) => pullRequests({ numbers: new Map(states) }))

/** Jobs that found any part of the inventory when they began. */
export const jobScopes: fc.Arbitrary<Scope> = fc
  .option(
    fc.record({
      containers: someOf(containerIds),
      images: someOf(imageIds),
      references: someOf(references),
      networks: someOf(networkNames.map((name) => `id-of-${name}`)),
      names: someOf(networkNames),
      volumes: someOf(volumeNames)
    }),
    { nil: undefined, freq: 10 }
  )
  .map((before) => ({ kind: 'job', before }))

function someOf(names: string[]): fc.Arbitrary<ReadonlySet<string>> {
  return fc.subarray(names).map((some) => new Set(some))
}

const ruleLine = fc
  .tuple(
    fc.constantFrom(
      ...['**', 'acme/**', '**:latest', '**:pr-*', 'app:*', '<none>'],
      ...['acme/web@sha256:*', '127.0.0.1:5000/**', 'volume data'],
      ...['volume *', 'container name-of-c*', 'container *', 'network net?'],
      ...['label keep', 'label team=*', 'label com.example.*']
    ),
    fc.option(fc.constantFrom('0s', '1m', '10m', '1d'), { nil: undefined }),
    fc.option(fc.nat({ max: 3 }), { nil: undefined }),
    fc.option(fc.constantFrom('1m', '2d'), { nil: undefined })
  )
  .map(([pattern, until, keepLast, stopAfter]) => {
    const settings = [
      ...(until === undefined ? [] : [`until=${until}`]),
      ...(keepLast === undefined ||
      /^(?:<|volume|network|container)/.test(pattern)
        ? []
        : [`keep-last=${keepLast}`]),
      ...(stopAfter === undefined || !/^(?:container|label)/.test(pattern)
        ? []
        : [`stop-after=${stopAfter}`])
    ]
    return { pattern, settings: settings.join(' ') || 'keep' }
  })

/** Lifecycle rules as people write them, none of them invalid. */
export const rules: fc.Arbitrary<Rule[]> = fc
  .uniqueArray(ruleLine, { maxLength: 5, selector: ({ pattern }) => pattern })
  .map((lines) => {
    const text = lines.map(({ pattern, settings }) => `${pattern} ${settings}`)
    const { rules, problems } = parseRules(text.join('\n'), now)
    if (problems.length > 0) throw new Error(problems.join('\n'))
    return rules
  })

export const policies: fc.Arbitrary<Policy> = fc.record({
  scope: fc.oneof(
    fc.constant<Scope>({ kind: 'engine' }),
    pullRequestScopes,
    jobScopes
  ),
  ignored: fc.constant([]),
  ageFrom: fc.constantFrom('last-used', 'created'),
  keepLast: fc.nat({ max: 4 }),
  until: fc.oneof(
    fc
      .constantFrom(0, minute, 10 * minute, day)
      .map((duration) => ({ duration })),
    fc.constantFrom(now, now - day, now + day).map((time) => ({ time }))
  ),
  protectedLabels: fc.subarray(patterns),
  protectedImages: fc.subarray(globs, { maxLength: 2 }),
  includeContainers: fc.boolean(),
  includeImages: fc.constantFrom(true, false, 'dangling' as const),
  includeNetworks: fc.boolean(),
  includeVolumes: fc.constantFrom('none', 'anonymous', 'all'),
  includeBuilders: fc.constantFrom('none', 'stopped', 'all', 'all'),
  includeBuildCache: fc.boolean(),
  buildCacheKeep: fc.nat({ max: 2_000_000 }),
  rules: fc.constant([]),
  maxRemovals: fc.constant(undefined),
  whenFreeBelow: fc.constant(undefined),
  untilFreeAbove: fc.constant(undefined)
})

/** Policies with up to five rules. */
export const ruledPolicies: fc.Arbitrary<Policy> = fc
  .tuple(policies, rules)
  .map(([policy, rules]) => ({ ...policy, rules }))

/** A policy and one that is at least as strict in every input. */
export const stricterPairs: fc.Arbitrary<{ policy: Policy; stricter: Policy }> =
  fc
    .tuple(policies, policies, fc.nat({ max: 3 }))
    .map(([policy, other, more]) => {
      const order = ['none', 'anonymous', 'all'] as const
      const guard = Math.min(
        order.indexOf(policy.includeVolumes),
        order.indexOf(other.includeVolumes)
      )
      const builderOrder = ['none', 'stopped', 'all'] as const
      const builders = Math.min(
        builderOrder.indexOf(policy.includeBuilders),
        builderOrder.indexOf(other.includeBuilders)
      )
      const until = (one: Policy) =>
        'duration' in one.until
          ? one.until.duration
          : Math.max(now - one.until.time, 1)
      const images = { false: 0, dangling: 1, true: 2 }
      const rank = (one: Policy) =>
        images[String(one.includeImages) as keyof typeof images]
      return {
        policy,
        stricter: {
          scope: policy.scope,
          ignored: [],
          keepLast: policy.keepLast + more,
          ageFrom: policy.ageFrom,
          until: { duration: Math.max(until(policy), until(other)) },
          protectedLabels: patterns.filter(
            (one) =>
              policy.protectedLabels.includes(one) ||
              other.protectedLabels.includes(one)
          ),
          protectedImages: [
            ...policy.protectedImages,
            ...other.protectedImages
          ],
          includeContainers:
            policy.includeContainers && other.includeContainers,
          includeImages:
            rank(policy) < rank(other)
              ? policy.includeImages
              : other.includeImages,
          includeNetworks: policy.includeNetworks && other.includeNetworks,
          includeVolumes: order[guard] ?? 'none',
          includeBuilders: builderOrder[builders] ?? 'none',
          includeBuildCache:
            policy.includeBuildCache && other.includeBuildCache,
          buildCacheKeep: Math.max(policy.buildCacheKeep, other.buildCacheKeep),
          rules: policy.rules,
          maxRemovals: undefined,
          whenFreeBelow: undefined,
          untilFreeAbove: undefined
        }
      }
    })
