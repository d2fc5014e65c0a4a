import { expect, test } from '@jest/globals'
import { parseRules } from '../../src/inputs/rules.ts'
import type { Container, Inventory, Volume } from '../../src/model/inventory.ts'
import type { Policy } from '../../src/model/policy.ts'
import type { Rule } from '../../src/model/rules.ts'
import { findExcess } from '../../src/policy/brake.ts'
import { makePlan } from '../../src/policy/plan.ts'
import { makeResources } from '../../src/report/resources.ts'
import { countByRule, countWithoutRule } from '../../src/report/rules.ts'
import {
  container,
  day,
  decisionOf,
  held,
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

// Lifecycle rules on small inventories; the properties are in lifecycle.properties.test.ts.

const ago = (milliseconds: number) => now - milliseconds
const removed = { action: 'remove' }
const byRule = { action: 'keep', reason: 'rule' }
const anon = 'a'.repeat(64)
const digest = (digit: string) => `sha256:${digit.repeat(64)}`

function parse(...lines: string[]): Rule[] {
  const { rules, problems } = parseRules(lines.join('\n'), now)
  expect(problems).toEqual([])
  return rules
}

function decide(
  id: string,
  contents: Partial<Inventory>,
  lines: readonly string[],
  wanted: Partial<Policy> = {}
) {
  return decisionOf(id, contents, { rules: parse(...lines), ...wanted })
}

/** An image of one or more tags that was built and tagged so long ago. */
function built(id: string, age: number, ...references: string[]) {
  const at = ago(age)
  return image(id, { references, createdAt: at, taggedAt: at })
}

/** Returns what a plan does with each image: `keep`, `remove`, or the references that it removes. */
function fates(
  images: Inventory['images'],
  lines: readonly string[],
  wanted: Partial<Policy> = {}
) {
  return Object.fromEntries(
    images.map(({ id }) => {
      const decision = decide(id, { images }, lines, wanted)
      return [
        id,
        decision?.action === 'untag'
          ? decision.removedReferences
          : decision?.action
      ]
    })
  )
}

test.each([
  ['the first', ['app:* keep', 'app:1 until=1h'], byRule, 1],
  ['the first', ['app:1 until=1h', 'app:* keep'], removed, 1],
  ['the only one that matches', ['web keep', 'app until=1h'], removed, 2],
  ['the first of any kind', ['label a keep', 'app until=1h'], byRule, 1],
  ['the first of any kind', ['app until=1h', 'label a keep'], removed, 1],
  ['by ID', ['0123456789ab keep', 'app until=1h'], byRule, 1],
  ['none, so the inputs', ['web keep', 'volume app keep'], removed, undefined]
])('of two rules, %s decides: %j', (_, lines, decision, rule) => {
  const id = digest('0').replace('000000000000', '0123456789ab')
  const images = [image(id, { references: ['app:1'], labels: { a: '' } })]
  expect(decide(id, { images }, lines)).toMatchObject(decision)
  expect(decide(id, { images }, lines)?.rule).toBe(rule)
})

test('what a rule does not set, the inputs decide, and the rule is named', () => {
  const images = [2, 3, 4].map((age) =>
    built(`${age}`, age * day, `app:${age}`)
  )
  const inputs = { until: { duration: 3 * day }, keepLast: 2 }
  expect(fates(images, ['app keep-last=0'], inputs)).toEqual({
    2: 'keep',
    3: 'remove',
    4: 'remove'
  })
  expect(fates(images, ['app until=1d'], inputs)).toEqual({
    2: 'keep',
    3: 'keep',
    4: 'remove'
  })
  const decision = (id: string, line: string) =>
    decide(id, { images }, ['# app', line], inputs)
  expect(decision('2', 'app keep-last=0')).toEqual({
    ...{ action: 'keep', reason: 'recent', rule: 2 },
    detail: 'created 2 days ago; rule 2 `app`: keep-last 0'
  })
  expect(decision('2', 'app until=30d keep-last=0')).toEqual({
    ...{ action: 'keep', reason: 'recent', rule: 2, input: 'rules' },
    detail: 'created 2 days ago; rule 2 `app`: until 30d, keep-last 0'
  })
  expect(decision('3', 'app keep-last=1')).toEqual({
    ...{ action: 'remove', reason: 'expired', rule: 2 },
    detail: 'created 3 days ago; rule 2 `app`: keep-last 1'
  })
})

test('each tag of an image is decided by its own rule', () => {
  const images = [image('i', { references: ['app:1', 'app:dev', 'app:prod'] })]
  const lines = ['**:prod keep', '**:dev until=7d', '**:1 until=60d']
  expect(fates(images, lines)).toEqual({ i: ['app:dev'] })
  expect(decide('i', { images }, lines)).toMatchObject({
    ...{ action: 'untag', reason: 'expired', rule: 2 },
    detail:
      'created 30 days ago; rule 2 `**:dev`: until 7d; keeps app:1, app:prod'
  })
  expect(fates(images, ['**:1 keep', '**:dev keep', '**:prod keep'])).toEqual({
    i: 'keep'
  })
  expect(fates(images, ['** until=7d'])).toEqual({ i: 'remove' })
  expect(
    decide('i', { images }, ['**:dev until=60d', '**:1 keep-last=0'])
  ).toMatchObject({
    action: 'untag',
    rule: 2,
    removedReferences: ['app:1', 'app:prod']
  })
  // One rule is named of those that keep the tags: a "keep" first.
  expect(
    decide('i', { images }, ['**:1 until=60d', '**:dev keep', '**:* until=60d'])
  ).toMatchObject({ ...byRule, rule: 2 })
})

test('ECR: an untagged or dev rule expires the production image with its dev tag, because one count is shared', () => {
  // One digest with a tag for production and one for development, and newer development images.
  const images = [
    built('prod', 20 * day, 'app:dev-1', 'app:prod-1'),
    ...[2, 3, 4].map((n) => built(`dev-${n}`, (10 - n) * day, `app:dev-${n}`)),
    built('untagged', 20 * day)
  ]
  const lines = [
    '<none> until=1d',
    '**:dev-* until=1d keep-last=2',
    '**:prod-* until=1d keep-last=1'
  ]
  expect(fates(images, lines)).toEqual({
    prod: ['app:dev-1'],
    'dev-2': 'remove',
    'dev-3': 'keep',
    'dev-4': 'keep',
    untagged: 'remove'
  })
  expect(fates(images, lines.toReversed())).toEqual(fates(images, lines))
})

test('Harbor: "retain 40 but latest" deletes latest, because rules add up', () => {
  const images = [
    built('latest', 40 * day, 'app:latest'),
    ...[1, 2, 3].map((n) => built(`${n}`, n * day, `app:${n}`))
  ]
  expect(fates(images, ['**:latest keep', '** keep-last=2'])).toEqual({
    latest: 'keep',
    1: 'keep',
    2: 'keep',
    3: 'remove'
  })
  // A later rule takes nothing back, and adds nothing.
  expect(fates(images, ['** keep-last=2', '**:latest keep'])).toEqual({
    latest: 'remove',
    1: 'keep',
    2: 'keep',
    3: 'remove'
  })
})

test('keep-last counts images for each repository and rule', () => {
  const tags = (repository: string, kind: string) =>
    [1, 2, 3].map((n) =>
      built(`${repository} ${kind}${n}`, n * day, `${repository}:${kind}${n}`)
    )
  const images = [
    ...tags('app', 'dev-'),
    ...tags('app', 'prod-'),
    ...tags('app', ''),
    ...tags('acme/web', 'prod-')
  ]
  const lines = ['**:prod-* keep-last=2', '**:dev-* keep-last=0']
  const staying = Object.entries(fates(images, lines, { keepLast: 1 }))
    .filter(([, fate]) => fate === 'keep')
    .map(([id]) => id)
  expect(staying).toEqual([
    ...['app prod-1', 'app prod-2'],
    'app 1',
    ...['acme/web prod-1', 'acme/web prod-2']
  ])
})

test('keep-last counts images, not tags, and those in use and protected', () => {
  const images = [
    built('used', 2 * day, 'app:1', 'app:1.0'),
    built('protected', 3 * day, 'app:2'),
    built('new', 4 * day, 'app:3'),
    built('old', 5 * day, 'app:4'),
    // Of unknown age: it stays for that, and takes no place.
    image('pulled', {
      references: ['app:5'],
      pulled: true,
      createdAt: ago(day)
    })
  ]
  const containers = [container('c', { state: 'running', image: 'used' })]
  const reasons = (keepLast: number) =>
    images.map(
      ({ id }) =>
        decide(id, { images, containers }, [`app keep-last=${keepLast}`], {
          protectedImages: ['app:2']
        })?.reason
    )
  const always = ['in-use', 'protected-image']
  expect(reasons(2)).toEqual([...always, 'expired', 'expired', 'unknown-age'])
  expect(reasons(3)).toEqual([...always, 'keep-last', 'expired', 'unknown-age'])
  expect(reasons(4)).toEqual([
    ...[...always, 'keep-last', 'keep-last'],
    'unknown-age'
  ])
})

test('an image with tags under two rules counts for both', () => {
  const images = [
    built('both', day, 'app:dev-1', 'app:prod-1'),
    built('dev', 2 * day, 'app:dev-2'),
    built('prod', 3 * day, 'app:prod-2')
  ]
  const lines = ['**:dev-* keep-last=1', '**:prod-* keep-last=2']
  expect(fates(images, lines)).toEqual({
    both: 'keep',
    dev: 'remove',
    prod: 'keep'
  })
})

test('a digest beside tags goes with the last tag of its repository', () => {
  const pinned = `app@${digest('a')}`
  const references = ['app:1', 'app:2', pinned, 'web:1']
  const images = [image('i', { references })]
  const untag = (...lines: string[]) => fates(images, lines)['i']
  expect(untag('app:2 keep', 'web keep')).toEqual(['app:1'])
  expect(untag('web keep')).toEqual(['app:1', 'app:2', pinned])
  expect(untag('app keep')).toEqual(['web:1'])
  // No pattern decides it on its own.
  const items = (line: string) =>
    makePlan(inventory({ images }), policy({ rules: parse(line) })).items
  expect(untag(`${pinned} keep`)).toBe('remove')
  expect(items(`${pinned} keep`)[0]?.ruled).toBeUndefined()
  expect(items('** keep')[0]?.ruled).toEqual(
    new Map(['app:1', 'app:2', 'web:1'].map((one) => [one, 1]))
  )
})

test.each([
  ['app', true],
  ['app:*', true],
  ['**', true],
  ['app@*', true],
  ['app@sha256:aaaa*', true],
  [`app@${digest('a')}`, true],
  [`docker.io/library/app@${digest('a')}`, true],
  ['<none>', false],
  ['app:?*', false],
  ['app:latest', false],
  ['**:dev-*', false],
  [`app@${digest('b')}`, false]
])('an image that has only a digest: %s matches it: %s', (pattern, matches) => {
  const images = [image('i', { references: [`app@${digest('a')}`] })]
  expect(decide('i', { images }, [`${pattern} keep`])?.reason).toBe(
    matches ? 'rule' : 'expired'
  )
})

test('"** keep" last makes the other rules an include list for images', () => {
  const contents = {
    images: [
      image('ours', { references: ['acme/app:1'] }),
      image('theirs', { references: ['node:24'] }),
      image('shared', { references: ['acme/app:2', 'node:22'] }),
      image('dangling'),
      image('digest', { references: [`node@${digest('a')}`] })
    ],
    containers: [container('c')],
    networks: [network('n')],
    volumes: [volume(anon)]
  }
  const lines = ['acme/** until=0s keep-last=0', '** keep']
  const actions = ['ours', 'theirs', 'shared', 'dangling', 'digest'].map(
    (id) => decide(id, contents, lines)?.action
  )
  expect(actions).toEqual(['remove', 'keep', 'untag', 'keep', 'keep'])
  // Other kinds follow the inputs, or rules of their own.
  const others = ['container * keep', 'network * keep', 'volume * keep']
  for (const id of ['c', 'n', anon]) {
    expect(decide(id, contents, lines)).toMatchObject(removed)
    expect(decide(id, contents, [...lines, ...others])).toMatchObject(byRule)
  }
})

test('<none> means images without any reference', () => {
  const images = [
    built('dangling', 2 * hour),
    built('tagged', 2 * hour, 'app:1'),
    built('young', minute)
  ]
  expect(fates(images, ['<none> until=1h', '** until=1d'])).toEqual({
    dangling: 'remove',
    tagged: 'keep',
    young: 'keep'
  })
  expect(decide('dangling', { images }, ['<none> until=1h'])).toMatchObject({
    ...{ reason: 'dangling', rule: 1 },
    detail: 'created 2 h ago; rule 1 `<none>`: until 1h'
  })
})

test.each([
  ['container name-of-x keep', 'container'],
  ['network name-of-* keep', 'network'],
  ['network name-of-? keep', 'network'],
  ['volume x keep', 'volume'],
  ['image x keep', 'image'],
  ['x:* keep', 'image'],
  ['label stage keep', 'all'],
  ['label stage=d* keep', 'all'],
  ['label st*=dev keep', 'all'],
  ['label stage=prod keep', 'none'],
  ['container x keep', 'none'],
  ['volume X keep', 'none']
])('%s matches: %s', (line, kind) => {
  const labels = { stage: 'dev' }
  const all = {
    container: { containers: [container('x', { labels })] },
    network: { networks: [network('x', { labels })] },
    volume: { volumes: [volume('x', { labels })] },
    image: { images: [image('x', { labels, references: ['x:1'] })] }
  }
  const waived = { until: { duration: 0 } }
  for (const [of, contents] of Object.entries(all))
    expect([of, decide('x', contents, [line], waived)?.action]).toEqual([
      of,
      [of, 'all'].includes(kind) ? 'keep' : 'remove'
    ])
})

test('a rule has its until for containers, networks and anonymous volumes', () => {
  const at = { createdAt: ago(2 * day) }
  const contents = {
    containers: [container('c', { ...at, finishedAt: ago(2 * day) })],
    networks: [network('n', at)],
    volumes: [volume(anon, at)]
  }
  for (const [id, line] of [
    ['c', 'container name-of-c'],
    ['n', 'network name-of-n'],
    [anon, `volume ${anon}`]
  ] as const) {
    expect(decide(id, contents, [`${line} until=3d`])).toMatchObject({
      ...{ action: 'keep', reason: 'recent', input: 'rules', rule: 1 }
    })
    const wanted = { until: { duration: 3 * day } }
    expect(decide(id, contents, [`${line} until=1d`], wanted)).toMatchObject({
      ...{ action: 'remove', reason: 'expired', rule: 1 },
      detail: expect.stringContaining('; rule 1 `')
    })
  }
})

test('until=0s lets images of unknown age go; of other kinds, only the input can', () => {
  const young = { createdAt: ago(minute) }
  const contents = {
    images: [image('i', { references: ['app:1'], pulled: true })],
    containers: [
      container('c', { ...young, state: 'created', startedAt: undefined })
    ],
    networks: [network('n', young)],
    volumes: [volume(anon, young), volume('named')],
    remembers: true
  }
  const lines = [
    ...['** until=0s', 'container * until=0s'],
    ...['network * until=0s', 'volume * until=0s']
  ]
  const ids = ['i', 'c', 'n', anon, 'named']
  const reasons = (wanted: Partial<Policy>) =>
    ids.map((id) => decide(id, contents, lines, wanted)?.reason)
  expect(reasons({})).toEqual([
    ...['expired', 'recent', 'recent', 'recent', 'unknown-age']
  ])
  // Nor where the input says the same: that is the rule's own line.
  for (const id of ids)
    expect(decide(id, contents, [], { until: { duration: 0 } })).toMatchObject(
      removed
    )
})

test('the age of an image that only the ledger dates is judged by each rule', () => {
  const seen = { since: ago(10 * day), arrived: false }
  const contents = {
    images: [image('i', { references: ['app:7', 'app:30'], pulled: true })],
    ledger: [{ id: 'i', ...seen }],
    remembers: true
  }
  const decideBy = (...lines: string[]) => decide('i', contents, lines)
  expect(decideBy('app until=7d')).toMatchObject({
    ...removed,
    detail: 'unused since first seen 10 days ago; rule 1 `app`: until 7d'
  })
  expect(decideBy('app until=30d')).toMatchObject({
    ...{ action: 'keep', reason: 'unknown-age', input: 'rules' },
    eligibleFrom: ago(10 * day) + 30 * day
  })
  expect(decideBy('app:7 until=7d', 'app until=30d')).toMatchObject({
    ...{ action: 'untag', removedReferences: ['app:7'] }
  })
  // The named volume, too, has to be watched for the rule's until.
  const volumes = [volume('data')]
  const ledger = [{ id: 'data', ...seen }]
  for (const [until, action] of [
    ['7d', 'remove'],
    ['30d', 'keep']
  ])
    expect(
      decide('data', { volumes, ledger }, [`volume data until=${until}`])
    ).toMatchObject({ action, rule: 1 })
})

test('inputs stand above the rules', () => {
  const labels = { keep: '' }
  const contents = {
    images: [
      image('used', { references: ['used:1'] }),
      image('labelled', { references: ['a:1'], labels }),
      image('named', { references: ['base:1'] })
    ],
    containers: [container('c', { state: 'running', image: 'used' })],
    volumes: [volume('data', { labels: {} })],
    ledger: [{ id: 'data', since: ago(9 * day), arrived: false }]
  }
  const lines = ['** until=0s keep-last=0', 'volume * until=0s']
  const wanted = {
    protectedLabels: [{ key: 'keep', value: undefined }],
    protectedImages: ['base']
  }
  const reason = (id: string, more: Partial<Policy> = {}) =>
    decide(id, contents, lines, { ...wanted, ...more })?.reason
  expect(reason('used')).toBe('in-use')
  expect(reason('labelled')).toBe('protected-label')
  expect(reason('named')).toBe('protected-image')
  expect(reason('named', { includeImages: false, protectedImages: [] })).toBe(
    'not-included'
  )
  expect(reason('data', { includeVolumes: 'none' })).toBe('not-included')
  expect(reason('data', { includeVolumes: 'anonymous' })).toBe('named-volume')
  expect(reason('data')).toBe('expired')
})

test.each([
  ['container buildx_* keep', 'keep', 1],
  ['volume *_state keep', 'keep', 1],
  ['container buildx_* until=60d', 'keep', 1],
  ['container buildx_* until=1d', 'remove', 1],
  // Only a "keep" of the volume has a say while there is a container.
  ['volume *_state until=60d', 'remove', undefined],
  ['container name-of-* keep', 'remove', undefined]
])('a builder under %s: %s', (line, action, rule) => {
  const name = 'buildx_buildkit_b0'
  const contents = {
    containers: [container('b', { name, volumes: [`${name}_state`] })],
    volumes: [volume(`${name}_state`)]
  }
  const decision = decide('b', contents, [line])
  expect(decision).toMatchObject({ action })
  expect(decision?.rule).toBe(rule)
})

test('what is left of a builder is kept by a rule for its volume', () => {
  const id = 'buildx_buildkit_b0_state'
  const contents = {
    volumes: [volume(id)],
    ledger: [{ id, since: ago(9 * day), arrived: false }]
  }
  expect(decide(id, contents, [])).toMatchObject(removed)
  expect(decide(id, contents, ['volume *_state keep'])).toMatchObject(byRule)
  expect(decide(id, contents, ['volume *_state until=10d'])).toMatchObject({
    ...{ action: 'keep', reason: 'unknown-age', rule: 1 }
  })
})

test.each([
  ['pull requests', pullRequests()],
  ['a job', { kind: 'job', before: held() } as const]
])('in the scope of %s only "keep" applies', (_, scope) => {
  const project = {
    'com.docker.compose.project': 'acme-web-pr-1',
    'com.docker.compose.container-number': '1'
  }
  const contents = {
    images: [
      image('i', { references: ['acme/web:pr-1', 'acme/web:pr-1-dev'] })
    ],
    containers: [container('c', { state: 'running', labels: project })],
    networks: [network('n', { labels: project })],
    volumes: [volume('v', { labels: project })]
  }
  const wanted = { scope, keepLast: 0, until: { duration: 0 } }
  const all = (...lines: string[]) =>
    ['i', 'c', 'n', 'v'].map((id) => decide(id, contents, lines, wanted))
  const strict = [
    ...['** until=60d keep-last=9', 'container * until=60d stop-after=60d'],
    ...['network * until=60d', 'volume * until=60d']
  ]
  for (const decision of all(...strict)) {
    expect(decision).toMatchObject(removed)
    expect(decision?.rule).toBeUndefined()
  }
  const keeping = strict.map((line) => line.replace(/ until.*/, ' keep'))
  for (const decision of all(...keeping)) expect(decision?.action).toBe('keep')
  expect(all('**:*-dev keep')[0]).toMatchObject({
    ...{ action: 'untag', removedReferences: ['acme/web:pr-1'] }
  })
  // The first rule that matches still decides: here, that the scope does.
  const more = [
    '**/* keep',
    ...['container', 'network', 'volume'].map((kind) => `${kind} ?* keep`)
  ]
  expect(all(...strict, ...more)).toEqual(all())
  expect(all(...more, ...strict)).toEqual(all(...more))
})

test.each([
  // Shadowed: by line.
  [['app keep', 'app:1 keep'], { decidedBy: [1] }],
  [['app keep', 'web keep', '*:1 keep'], { decidedBy: [1, 2] }],
  [['** keep', 'label a keep'], { decidedBy: [1] }],
  [['container * keep', 'container name-of-c keep'], { decidedBy: [1] }],
  // Matches nothing.
  [['redis:7.4-alpine keep'], {}],
  [['<none> keep'], {}],
  [['wep keep'], { nearest: { name: 'web:1', goes: true } }],
  [
    ['**:2 keep', 'container name-of-d keep'],
    { nearest: { name: 'name-of-c', goes: false } }
  ],
  [['volume date keep'], { nearest: { name: 'data', goes: false } }],
  [['label a=bc keep'], { nearest: { name: 'a=bd', goes: true } }],
  [['app@sha256:* keep'], {}]
])('a rule that decides nothing is reported: the last of %j', (lines, why) => {
  const contents = {
    images: [
      image('1', { references: ['app:1'], labels: { a: 'bd' } }),
      image('2', { references: ['web:1'] })
    ],
    containers: [container('c', { state: 'running' })],
    volumes: [volume('data')]
  }
  const { unmatched } = makePlan(
    inventory(contents),
    policy({ rules: parse(...lines) })
  )
  const last = lines.at(-1)?.replace(/ keep$/, '') ?? ''
  expect(unmatched.at(-1)).toEqual({
    input: 'rules',
    pattern: `line ${lines.length} (${last})`,
    ...why
  })
})

test('rules that decide anything are not reported, nor those that the scope switches off', () => {
  const contents = inventory({
    images: [image('1', { references: ['app:1'] })]
  })
  const report = (wanted: Partial<Policy>) =>
    makePlan(contents, policy(wanted)).unmatched
  expect(report({ rules: parse('app keep') })).toEqual([])
  const rules = parse('redis until=1h', 'postgres keep')
  expect(report({ rules })).toHaveLength(2)
  expect(report({ rules, scope: { kind: 'job', before: held() } })).toEqual([
    { input: 'rules', pattern: 'line 2 (postgres)' }
  ])
})

const ran = (parts: Partial<Container> = {}, id = 'c') =>
  container(id, {
    ...{ state: 'running', startedAt: ago(7 * hour), finishedAt: undefined },
    imageReference: 'app:1',
    ...parts
  })
const stopping = ['container name-of-* stop-after=6h']

test('a container that has run for long enough is stopped, and goes once idle for until', () => {
  const contents = { containers: [ran()] }
  expect(decide('c', contents, stopping)).toEqual({
    ...{ action: 'keep', reason: 'recent', stop: true, rule: 1 },
    detail:
      'running for 7 h, image app:1; rule 1 `container name-of-*`: stop-after 6h'
  })
  const atOnce = {
    ...{ action: 'remove', reason: 'expired', stop: true, rule: 1 },
    detail: expect.stringMatching(
      /^running for 7 h, image app:1; stopped first/
    )
  }
  expect(
    decide('c', contents, ['label x stop-after=1h', ...stopping], {
      until: { duration: 0 }
    })
  ).toEqual({ ...atOnce, rule: 2 })
  for (const lines of [
    ['container * stop-after=6h until=0s'],
    ['container * stop-after=7h until=0s']
  ])
    expect(decide('c', contents, lines)).toEqual(atOnce)
  expect(
    decide('c', contents, ['container * stop-after=8h until=0s'])
  ).toMatchObject({ action: 'keep', reason: 'in-use' })
  expect(decide('c', contents, ['container * stop-after=8h'])?.detail).toBe(
    'running for 7 h; rule 1 `container *`: stop-after 8h'
  )
  // Without stop-after, what runs is in use.
  expect(decide('c', contents, ['container * until=0s'])).toEqual({
    ...{ action: 'keep', reason: 'in-use', detail: 'running' }
  })
})

test('what only stops stays, with all that it needs', () => {
  const contents = {
    containers: [ran({ image: 'i', networks: ['n'], volumes: [anon] })],
    images: [image('i', { references: ['app:1'] })],
    networks: [network('n')],
    volumes: [volume(anon)]
  }
  for (const id of ['i', 'n', anon])
    expect(decide(id, contents, stopping)?.reason).toBe('in-use')
})

test('a container started with --rm goes once it is stopped', () => {
  const lines = ['container * stop-after=6h until=30d']
  const decideFor = (
    volumes: string[],
    wanted: Partial<Policy>,
    parts: Partial<Volume> = {}
  ) =>
    decide(
      'c',
      {
        containers: [ran({ autoRemove: true, volumes })],
        volumes: volumes.map((name) => volume(name, parts))
      },
      lines,
      wanted
    )
  const gone = {
    ...{ action: 'remove', stop: true },
    detail: expect.stringContaining(
      '; stopped first; Docker removes --rm containers once stopped; rule 1'
    )
  }
  const excluded = { includeVolumes: 'none' } as const
  const included = { includeVolumes: 'anonymous' } as const
  expect(decideFor([], excluded)).toMatchObject(gone)
  expect(decideFor(['data'], excluded)).toMatchObject(gone)
  expect(decideFor([anon], included)).toMatchObject(gone)
  // What keeps the volume by itself keeps it here, too.
  for (const parts of [{ labels: { keep: '' } }, { driver: 'nfs' }])
    expect(
      decideFor(
        [anon],
        {
          ...included,
          protectedLabels: [{ key: 'keep', value: undefined }]
        },
        parts
      )
    ).toMatchObject({ action: 'keep', reason: 'in-use' })
  expect(decideFor([anon], excluded)).toMatchObject({
    ...{ action: 'keep', reason: 'in-use' },
    detail: expect.stringContaining(
      'not stopped: Docker would also remove an anonymous volume (--rm) that is kept'
    )
  })
  // By its label, from Docker 23 on.
  const labelled = volume('v', {
    labels: { 'com.docker.volume.anonymous': '' }
  })
  const containers = [ran({ autoRemove: true, volumes: ['v'] })]
  expect(
    decide('c', { containers, volumes: [labelled] }, lines, excluded)?.action
  ).toBe('keep')
})

test.each<[string, Partial<Container>, Partial<Inventory>]>([
  ['has a restart policy', { restartPolicy: 'always' }, {}],
  ['has a restart policy', { restartPolicy: 'on-failure' }, {}],
  ...[
    'io.kubernetes.pod.uid',
    'com.amazonaws.ecs.task-arn',
    'com.hashicorp.nomad.alloc_id',
    'com.gitlab.gitlab-runner.job.id',
    'com.docker.swarm.service.id'
  ].map((key): [string, Partial<Container>, Partial<Inventory>] => [
    'managed by another tool',
    { labels: { [key]: '1' } },
    {}
  ]),
  ['created by the runner for a job', { labels: { '0a1b2c': '' } }, {}],
  ['has an exec session', { execs: ['process'] }, {}],
  ['has an exec session', { execs: undefined }, {}],
  ...[
    '/var/run/docker.sock',
    '/run/user/1000/docker.sock',
    '/run/podman/podman.sock',
    '/run/containerd/containerd.sock',
    '/run/podman',
    '/run/containerd/',
    '/run/user/1000/podman',
    '/run/user/1000',
    '/var/run',
    '/run/',
    '/var',
    '/'
  ].map((path): [string, Partial<Container>, Partial<Inventory>] => [
    'has the Docker socket',
    { binds: ['/srv', path] },
    {}
  ]),
  ['this step runs inside', {}, { self: 'c' }],
  ['the jobs on this host cannot be seen', {}, { oldestJob: undefined }],
  [
    'started after a running job began',
    {},
    { oldestJob: ago(7 * hour) - minute }
  ],
  // The clocks of processes count in hundredths of a second.
  ['started after a running job began', {}, { oldestJob: ago(7 * hour) + 999 }],
  ['start time unknown', { startedAt: undefined }, {}],
  ['start time unknown', { startedAt: now + hour }, {}]
])('a container is not stopped: %s (%j, %j)', (why, parts, others) => {
  const lines = ['container * stop-after=6h until=0s']
  const decideWith = (
    own: Partial<Container>,
    rest: Partial<Inventory>,
    state = 'running'
  ) => decide('c', { containers: [ran({ state, ...own })], ...rest }, lines)
  expect(decideWith({}, {})).toMatchObject({ ...removed, stop: true })
  expect(decideWith(parts, others)).toEqual({
    ...{ action: 'keep', reason: 'in-use', rule: 1 },
    detail: expect.stringContaining(`; not stopped: ${why}; rule 1 `)
  })
})

test.each([
  ['no restart policy', { restartPolicy: 'no' }],
  ['another label', { labels: { 'io.kubernetesx': '', app: '1' } }],
  ['other folders', { binds: ['/srv/run', '/var/lib', '/home/docker.sock.d'] }],
  ['paused', { state: 'paused' }],
  ['restarting', { state: 'restarting' }]
])('a container is stopped: %s', (_, parts) => {
  const contents = { containers: [ran(parts)], oldestJob: ago(6 * hour) }
  expect(decide('c', contents, stopping)).toMatchObject({ stop: true })
})

test('inputs stand above stop-after', () => {
  const contents = { containers: [ran({ labels: { keep: '' } })] }
  const lines = ['container * stop-after=6h until=0s']
  const decideWith = (wanted: Partial<Policy>) =>
    decide('c', contents, lines, wanted)
  expect(
    decideWith({ protectedLabels: [{ key: 'keep', value: undefined }] })
  ).toEqual(expect.objectContaining({ reason: 'protected-label' }))
  expect(decideWith({ includeContainers: false })?.reason).toBe('not-included')
  for (const wanted of [
    { protectedLabels: [{ key: 'keep', value: undefined }] },
    { includeContainers: false }
  ])
    expect(decideWith(wanted)).not.toHaveProperty('stop')
  const podman = { ...inventory().engine, kind: 'podman' } as const
  const paused = { containers: [ran({ state: 'paused' })], engine: podman }
  expect(decide('c', paused, lines)).not.toHaveProperty('stop')
})

test('a compose project is stopped as a whole, or not at all', () => {
  const labels = { 'com.docker.compose.project': 'shop' }
  const stops = (...others: Container[]) =>
    decide('c', { containers: [ran({ labels }), ...others] }, stopping)
  const others = { 'com.docker.compose.project': 'other' }
  expect(stops()).toMatchObject({ stop: true })
  expect(stops(ran({ labels }, 'd'))).toMatchObject({ stop: true })
  expect(stops(ran({ labels: others, execs: ['x'] }, 'd'))).toMatchObject({
    stop: true
  })
  expect(stops(container('d', { labels }))).toMatchObject({ stop: true })
  for (const parts of [
    { name: 'another' },
    { startedAt: ago(hour) },
    { execs: ['x'] }
  ])
    expect(stops(ran({ labels, ...parts }, 'd'))).toEqual({
      ...{ action: 'keep', reason: 'in-use', rule: 1 },
      detail: `running; not stopped: same compose project as running container ${'name' in parts ? 'another' : 'name-of-d'}`
    })
})

test('a container that a running one needs is not stopped, nor what that one needs', () => {
  const containers = [
    ran({}, 'c'),
    ran({ joins: ['name-of-c'] }, 'd'),
    ran({ joins: ['name-of-d'], name: 'user' }, 'e'),
    ran({ joins: ['name-of-g'] }, 'f'),
    ran({}, 'g')
  ]
  const atOnce = ['container name-of-* stop-after=6h until=0s']
  const decideIn = (id: string, lines = stopping, all = containers) =>
    decide(id, { containers: all }, lines)
  const needed = 'running; not stopped: needed by running container'
  expect(decideIn('c')).toEqual({
    ...{ action: 'keep', reason: 'in-use', rule: 1 },
    detail: `${needed} name-of-d`
  })
  expect(decideIn('d')?.detail).toBe(`${needed} user`)
  for (const id of ['c', 'd'])
    expect(decideIn(id, atOnce)?.reason).toBe('in-use')
  for (const id of ['f', 'g']) {
    expect(decideIn(id)).toMatchObject({ action: 'keep', stop: true })
    expect(decideIn(id, atOnce)).toMatchObject({ ...removed, stop: true })
  }
  expect(decideIn('c', stopping, containers.slice(0, 2))).toMatchObject({
    stop: true
  })
  // One that stays, but does not run, keeps what it would need to start again.
  const waiting = container('w', {
    ...{ joins: ['name-of-c'], name: 'w', finishedAt: ago(minute) }
  })
  const kept = decideIn('c', atOnce, [ran({}, 'c'), waiting])
  expect(kept).toMatchObject({ action: 'keep', reason: 'in-use' })
  expect(kept).not.toHaveProperty('stop')
})

test('max-removals counts resources of each kind that are removed, untagged or stopped', () => {
  const contents = inventory({
    images: [
      image('gone', { references: ['a:1'] }),
      image('untagged', { references: ['a:2', 'keep:1'] }),
      image('kept', { references: ['keep:2'] }),
      image('kept-too', { references: ['keep:3'] })
    ],
    containers: [
      ran(),
      container('d'),
      container('e', { labels: { keep: '' } })
    ],
    volumes: [volume(anon)],
    buildCache: { records: undefined }
  })
  const rules = parse('keep:* keep', 'label keep keep', ...stopping)
  const excess = (maxRemovals: Policy['maxRemovals']) => {
    const wanted = policy({ rules, maxRemovals })
    return findExcess(makePlan(contents, wanted).items, wanted)
  }
  const [containers, images] = ['2 of 3 containers', '2 of 4 images']
  expect(excess(undefined)).toBeUndefined()
  expect(excess({ count: 2 })).toBeUndefined()
  expect(excess({ count: 1 })).toBe(`${containers}, ${images}`)
  expect(excess({ count: 0 })).toBe(`${containers}, ${images}, 1 of 1 volume`)
  expect(excess({ percent: 100 })).toBeUndefined()
  // Of 4 images, 49 % are 1.96: rounded up, so that a small host can remove something.
  expect(excess({ percent: 49 })).toBeUndefined()
  expect(excess({ percent: 25 })).toBe(`${containers}, ${images}`)
  expect(excess({ percent: 0 })).toBe(`${containers}, ${images}, 1 of 1 volume`)
})

test('each rule is counted with what it decides', () => {
  const inventoryNow = inventory({
    images: [
      built('dev', 9 * day, 'app:dev-1'),
      built('both', 9 * day, 'app:dev-2', 'app:prod-2'),
      built('pair', 9 * day, 'app:dev-4', 'x:4'),
      built('prod', 9 * day, 'app:prod-3'),
      built('other', 9 * day, 'web:1'),
      built('loose', 9 * day)
    ].map((one) => ({ ...one, bytes: 100 })),
    containers: [ran(), container('d', { labels: { a: '' } })]
  })
  const rules = parse(
    '**:dev-* until=7d keep-last=0',
    '**:prod-* keep',
    'redis keep',
    ...stopping,
    'x until=7d'
  )
  const plan = makePlan(inventoryNow, policy({ rules }))
  const layers = new Map(
    inventoryNow.images.map(({ id }) => [id, [] as number[]])
  )
  const none = new Map<string, number>()
  const resources = makeResources({
    inventory: inventoryNow,
    plan,
    sizes: {
      ...{ containers: none, volumes: none, builders: none, layers },
      logs: { bytes: none, unread: false }
    },
    removal: undefined
  }).map((one) =>
    ['dev', 'pair'].includes(one.id) ? { ...one, bytes: 70 } : one
  )
  const counted = countByRule(rules, plan.items, resources)
  expect(counted).toEqual([
    {
      ...{ line: 1, kind: 'image', pattern: '**:dev-*' },
      settings: 'until=7d keep-last=0',
      ...{ matched: 3, removed: 3, kept: 0, bytes: 140 }
    },
    {
      ...{ line: 2, kind: 'image', pattern: '**:prod-*', settings: 'keep' },
      ...{ matched: 2, removed: 0, kept: 2, bytes: 0 }
    },
    {
      ...{ line: 3, kind: 'image', pattern: 'redis', settings: 'keep' },
      ...{ matched: 0, removed: 0, kept: 0, bytes: 0 }
    },
    {
      ...{ line: 4, kind: 'container', pattern: 'name-of-*' },
      settings: 'stop-after=6h',
      ...{ matched: 2, removed: 1, kept: 1, bytes: 0 }
    },
    // The bytes of an image that two rules let go count once.
    {
      ...{ line: 5, kind: 'image', pattern: 'x', settings: 'until=7d' },
      ...{ matched: 1, removed: 1, kept: 0, bytes: 0 }
    }
  ])
  expect(countWithoutRule(plan.items)).toBe(2)
})
