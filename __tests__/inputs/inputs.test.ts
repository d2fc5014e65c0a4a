import { hostname } from 'node:os'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { readInputs } from '../../src/inputs/read.ts'
import { defaults, InputError } from '../../src/model/inputs.ts'
import type { PullRequestOfEvent } from '../../src/inputs/event.ts'

const now = Date.UTC(2026, 0, 31)
const read = (inputs: Record<string, string>) =>
  readInputs((name) => inputs[name], {
    now,
    env: { RUNNER_TEMP: '/temp', HOME: '/home/me' }
  })

test('without inputs the defaults apply', () => {
  expect(read({})).toEqual({
    texts: defaults,
    policy: {
      scope: { kind: 'engine' },
      ignored: [],
      keepLast: 3,
      until: { duration: 24 * 3_600_000 },
      ageFrom: 'last-used',
      protectedLabels: [{ key: 'keep', value: undefined }],
      protectedImages: [],
      includeContainers: true,
      includeImages: true,
      includeNetworks: true,
      includeVolumes: 'none',
      includeBuilders: 'none',
      includeBuildCache: true,
      buildCacheKeep: 0,
      rules: []
    },
    options: {
      dryRun: false,
      timeout: 900_000,
      concurrency: 4,
      docker: 'docker',
      stateDir: '/home/me/.local/state/docker-reclaim',
      reportFile: '/temp/docker-reclaim/report.json',
      jobSummary: 'always',
      hostName: hostname()
    }
  })
})

test.each([
  ['true', 'always'],
  ['Failures', 'failures'],
  ['false', 'never']
])('job-summary: %s', (text, jobSummary) => {
  expect(read({ 'job-summary': text }).options).toMatchObject({ jobSummary })
})

test.each([
  [undefined, 'runner-1', 'runner-1'],
  ['$RUNNER_NAME', 'runner-1', 'runner-1'],
  ['${RUNNER_NAME}', 'runner-1', 'runner-1'],
  ['build-7.example.org', 'runner-1', 'build-7.example.org'],
  ['', 'runner-1', hostname()],
  [undefined, undefined, hostname()],
  [undefined, '', hostname()]
])('host-name %j on runner %j: %s', (text, RUNNER_NAME, hostName) => {
  const { options } = readInputs(
    (name) => (name === 'host-name' ? text : undefined),
    { now, env: { RUNNER_NAME } }
  )
  expect(options).toMatchObject({ hostName })
})

test.each(['$HOSTNAME', '${HOSTNAME}', '$RUNNER_NAMES', '$RUNNER_NAME-eu'])(
  'host-name: %s is rejected',
  (text) => {
    expect(() => read({ 'host-name': text })).toThrow(
      `host-name: got "${text}"; expected a name; $RUNNER_NAME is the only variable.`
    )
  }
)

test.each(['$RUNNER_TEMP/r.json', '$RUNNER_TEMP\\r.json'])(
  'runner folders are expanded in paths with either separator: %s',
  (path) => {
    const { options } = read({ 'report-file': path })
    expect(options.reportFile).toBe(path.replace('$RUNNER_TEMP', '/temp'))
  }
)

test('runner folders are expanded in both path inputs, with or without braces; other variables are rejected', () => {
  const { options } = read({
    'state-dir': '${RUNNER_TEMP}/state',
    'report-file': '$RUNNER_TEMP/report.json'
  })
  expect(options).toMatchObject({
    stateDir: '/temp/state',
    reportFile: '/temp/report.json'
  })
  for (const path of ['$HOME/x', '${HOME}/x', '~/x', '$RUNNER_TEMPx/y'])
    for (const name of ['state-dir', 'report-file'])
      expect(() => read({ [name]: path })).toThrow(
        `${name}: got ${JSON.stringify(path)}; expected a path; only $RUNNER_TOOL_CACHE`
      )
  expect(read({ 'report-file': 'a~$b' }).options.reportFile).toBe('a~$b')
})

test.each(['INPUT_DRY_RUN', 'INPUT_DRYRUN', 'INPUT_dry-run', 'input_dry-run'])(
  'a misspelled input variable stops the step: %s',
  (variable) => {
    const readWith = (value: string) =>
      readInputs(() => undefined, {
        now,
        env: {
          [variable]: value,
          'INPUT_KEEP-LAST': '1',
          INPUT_OTHER_ACTION: ''
        }
      })
    expect(() => readWith('true')).toThrow(
      `${variable}: not an input; dry-run is set by the variable INPUT_DRY-RUN.`
    )
    expect(readWith('').options.dryRun).toBe(false)
  }
)

test('lists are split at newlines and commas', () => {
  const { policy } = read({
    'protected-images': 'node:*\n  ghcr.io/acme/** ,, redis\n',
    'protected-labels': 'a,b=c\nd=*'
  })
  expect(policy.protectedImages).toEqual(['node:*', 'ghcr.io/acme/**', 'redis'])
  expect(policy.protectedLabels).toEqual([
    { key: 'a', value: undefined },
    { key: 'b', value: 'c' },
    { key: 'd', value: '*' }
  ])
})

test.each([
  ['include-volumes', 'TRUE', { includeVolumes: 'anonymous' }],
  ['include-volumes', 'all', { includeVolumes: 'all' }],
  ['include-builders', 'stopped', { includeBuilders: 'stopped' }],
  ['include-builders', 'ALL', { includeBuilders: 'all' }],
  ['include-images', 'Dangling', { includeImages: 'dangling' }],
  ['build-cache-keep', '10GB', { buildCacheKeep: 1e10 }],
  ['build-cache-keep', '0', { buildCacheKeep: 0 }],
  ['until', '2026-01-01', { until: { time: Date.UTC(2026, 0, 1) } }],
  ['until', '1w', { until: { duration: 7 * 24 * 3_600_000 } }],
  ['keep-last', '0', { keepLast: 0 }]
])('%s: %s', (name, value, policy) => {
  expect(read({ [name]: value }).policy).toMatchObject(policy)
})

const pressures = ['when-free-below', 'until-free-above'] as const

test.each([
  ['15%', { percent: 15 }],
  ['12.5 %', { percent: 12.5 }],
  ['0.1%', { percent: 0.1 }],
  ['99.9%', { percent: 99.9 }],
  ['20GB', { bytes: 20e9 }],
  ['1.5 gib', { bytes: 1.5 * 2 ** 30 }],
  ['', undefined]
])('free space: %s', (text, space) => {
  for (const name of pressures) {
    const { whenFreeBelow, untilFreeAbove } = read({ [name]: text }).policy
    const other = name === 'when-free-below' ? untilFreeAbove : whenFreeBelow
    expect([whenFreeBelow ?? untilFreeAbove, other]).toEqual([space, undefined])
  }
})

test.each([
  ...['0%', '100%', '101%', '-5%', '1e1%', '5 % free', '%', '.5%'],
  ...['0', '0GB', '20', '20 G', '-1GB', '15% 20GB', '15percent']
])('free space: %s is rejected', (text) => {
  for (const name of pressures)
    expect(() => read({ [name]: text })).toThrow(
      `${name}: got ${JSON.stringify(text)}; expected free space: a percentage such as 10%, or a size such as 20GB.`
    )
})

const belowGate = 'must not be below when-free-below'
const otherUnit = 'requires the unit of when-free-below'

test.each([
  ['15%', '30%', undefined],
  ['15%', '15%', undefined],
  ['1GB', '1000MB', undefined],
  ['15%', '14.9%', belowGate],
  ['1GiB', '1GB', belowGate],
  ['15%', '30GB', otherUnit],
  ['15GB', '30%', otherUnit]
])('a gate of %s and a target of %s: %s', (gate, target, problem) => {
  const inputs = { 'when-free-below': gate, 'until-free-above': target }
  if (problem === undefined) expect(badIn(inputs)).toEqual([])
  else
    expect(() => read(inputs)).toThrow(
      `\nuntil-free-above: got "${target}"; ${problem}`
    )
  // The gate is the invalid one.
  expect(badIn({ ...inputs, 'when-free-below': 'x' })).toEqual([
    'when-free-below'
  ])
})

test.each(['pull-request', 'Closed-Pull-Requests', 'job'])(
  'disk pressure is not for scope %s',
  (scope) => {
    const inputs = {
      ...{ scope, 'pull-request': scope === 'pull-request' ? '1' : '' },
      'github-token': 'ghs_1'
    }
    for (const name of pressures)
      expect(() =>
        readFor({ ...inputs, [name]: '10%' }, { number: 1 })
      ).toThrow(
        `Invalid input. Nothing was inspected or removed.\n${name}: got "10%"; only allowed with scope: engine.`
      )
  }
)

test('an unknown scope is the only problem of disk pressure', () => {
  expect(badIn({ scope: 'engines', 'when-free-below': '10%' })).toEqual([
    'scope'
  ])
  expect(badIn({ scope: 'ENGINE', 'when-free-below': '10%' })).toEqual([])
})

const atWork = { GITHUB_REPOSITORY: 'acme/web' }
const readFor = (
  inputs: Record<string, string>,
  event: PullRequestOfEvent,
  env: Record<string, string> = atWork
) => readInputs((name) => inputs[name], { now, env, event })
const inScope = { scope: 'pull-request' }

test('the pull request is the one given, or that of the event', () => {
  const scopeOf = (inputs: Record<string, string>, event: PullRequestOfEvent) =>
    readFor({ ...inScope, ...inputs }, event).policy.scope
  const scope = {
    kind: 'pull-request',
    repository: 'acme/web',
    numbers: new Map([[12, 'closed']]),
    patterns: ['pr-{number}', 'pr-{number}-*', '*-pr-{number}']
  }
  expect(scopeOf({}, { number: 12 })).toEqual(scope)
  expect(scopeOf({ 'pull-request': '12' }, { number: 5 })).toEqual(scope)
  expect(scopeOf({ 'pull-request': '12' }, { problem: 'x' })).toEqual(scope)
  expect(
    scopeOf(
      { 'pull-request-patterns': 'mr{number}\n*{number}' },
      { number: 12 }
    )
  ).toEqual({ ...scope, patterns: ['mr{number}', '*{number}'] })
})

test.each([
  [{}, 0, 0, ['keep-last', 'until']],
  [{ 'keep-last': '3', until: '24h' }, 0, 0, ['keep-last', 'until']],
  [{ 'keep-last': '2', until: '1d' }, 2, 24 * 3_600_000, []],
  [{ until: '7d' }, 0, 7 * 24 * 3_600_000, ['keep-last']],
  [{ 'keep-last': '0', until: '0s' }, 0, 0, []]
])(
  'with scope pull-request, keep-last and until apply only if set: %j',
  (inputs, keepLast, duration, ignored) => {
    const { policy } = readFor({ ...inScope, ...inputs }, { number: 12 })
    expect(policy).toMatchObject({ ignored, keepLast, until: { duration } })
  }
)

test.each([
  [
    'a number',
    inScope,
    atWork,
    /pull-request: set a pull request number: this event \(push\) has none/
  ],
  [
    'a repository',
    { ...inScope, 'pull-request': '1' },
    {},
    /^scope: got .*GITHUB_REPOSITORY/m
  ],
  [
    'an owner in the repository name',
    { ...inScope, 'pull-request': '1' },
    { GITHUB_REPOSITORY: 'web' },
    /^scope: got/m
  ],
  [
    'scope: pull-request',
    { 'pull-request': '1' },
    atWork,
    /pull-request: got "1"; only allowed with scope: pull-request/
  ],
  [
    'a pattern',
    { ...inScope, 'pull-request': '1', 'pull-request-patterns': ' , ' },
    atWork,
    /pull-request-patterns: .*one pattern/
  ]
])('a pull request requires %s', (_, inputs, env, message) => {
  const problem = { problem: 'this event (push) has none' }
  expect(() => readFor(inputs, problem, env)).toThrow(InputError)
  expect(() => readFor(inputs, problem, env)).toThrow(message)
})

test('scope closed-pull-requests queries GitHub at the URL that the runner provides', () => {
  const inputs = { scope: 'closed-pull-requests', 'github-token': 'ghs_1' }
  const problem = { problem: 'this event (schedule) has none' }
  const { policy, options } = readFor(inputs, problem)
  expect(policy).toMatchObject({
    scope: { kind: 'pull-request', repository: 'acme/web', numbers: new Map() },
    keepLast: 0,
    until: { duration: 0 }
  })
  expect(options.github).toEqual({
    token: 'ghs_1',
    url: 'https://api.github.com/graphql'
  })
  const url = 'https://github.example/api/graphql'
  const env = { ...atWork, GITHUB_GRAPHQL_URL: url }
  expect(readFor(inputs, problem, env).options.github?.url).toBe(url)
  // Other scopes must not receive the token.
  const other = { ...inputs, scope: 'engine' }
  expect(readFor(other, problem).options.github).toBeUndefined()
})

test.each(['', '${{ github.token }}'])(
  'scope closed-pull-requests rejects "%s" as a token',
  (token) => {
    const inputs = { scope: 'closed-pull-requests', 'github-token': token }
    expect(() => readFor(inputs, { problem: 'x' })).toThrow(
      'requires a token with the permission pull-requests: read'
    )
  }
)

test('one message lists what the scope requires together with all other errors', () => {
  const inputs = { ...inScope, until: 'x', 'pull-request-patterns': 'pr-12' }
  const read = () =>
    readFor(inputs, { problem: 'this event (push) has none' }, {})
  expect(read).toThrow(/^Invalid input\./)
  for (const name of [
    'scope',
    'until',
    'pull-request',
    'pull-request-patterns'
  ])
    expect(read).toThrow(new RegExp(`^${name}: `, 'm'))
})

test('a custom report file', () => {
  expect(read({ 'report-file': '/var/report.json' }).options.reportFile).toBe(
    '/var/report.json'
  )
  expect(read({ 'report-file': '$RUNNER_TEMP' }).options.reportFile).toBe(
    '/temp'
  )
})

const names = Object.keys(defaults)

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.integer().map(String),
  fc.double().map(String),
  fc.bigInt().map(String),
  // Lone surrogates, and characters that hide or reorder others.
  fc
    .array(
      fc.constantFrom('\ud83d', '\ude00', '\u202e', '\u2028', '\0', '\r', 'a')
    )
    .map((all) => all.join('')),
  fc.constantFrom(
    ...[
      'true',
      'FALSE',
      'all',
      '7d',
      '1e3',
      '10GB',
      '10%',
      'a=b',
      '９',
      '0x10',
      '1_0'
    ],
    ...['__proto__', 'constructor', 'toString', 'node:*', '[', '!', '=', '$'],
    ...['- a\n- b', 'key: value', '{"a": 1}', '|\n  x', '&a [*a]', '!!js x'],
    ...['x'.repeat(100_000), '9'.repeat(400), '[,'.repeat(50_000)],
    ...['${{ x }}', '$(reboot)', '%0A::error::x', '::set-env name=X::y']
  ),
  // Valid and invalid items in a list.
  fc
    .array(fc.constantFrom('node', '**', '[x', '=', 'a=b', '\t', ',', '\n'))
    .map((all) => all.join(','))
)

/** Returns the names of the inputs that an error lists, and checks the format of its message. */
function complaints(error: unknown, inputs: Record<string, string>): string[] {
  expect(error).toBeInstanceOf(InputError)
  const [first, ...lines] = (error as InputError).message.split('\n')
  expect(first).toMatch(/^Invalid input\. Nothing was inspected or removed\.$/)
  return lines.map((line) => {
    // The lines of rules are tested in rules.test.ts.
    if (line.startsWith('rules: ')) return 'rules'
    const name = /^[a-z-]+(?=: got )/.exec(line)?.[0] ?? ''
    const value = inputs[name] || defaults[name as keyof typeof defaults]
    const quoted = JSON.stringify(value.slice(0, 200)).slice(0, -1)
    expect(line).toContain(`${name}: got ${quoted}`)
    expect(line).toMatch(/; (?:expected|only|set|must|requires) /)
    expect(line.length).toBeLessThan(20_000)
    return name
  })
}

function badIn(inputs: Record<string, string>): string[] {
  try {
    read(inputs)
    return []
  } catch (error) {
    return complaints(error, inputs)
  }
}

test.each(names)(
  'any text in %s is either accepted or rejected with the input’s name and value',
  (name) => {
    fc.assert(
      fc.property(text, (value) => {
        for (const bad of badIn({ [name]: value })) expect(bad).toBe(name)
      }),
      { numRuns: 500 }
    )
  }
)

test('one message lists exactly the invalid inputs', () => {
  // These can conflict with another input.
  const dependent = ['report-file', 'until-free-above']
  const independent = names.filter((name) => !dependent.includes(name))
  let several = 0
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom(...independent), text),
      (inputs) => {
        const separately = Object.entries(inputs).flatMap(([name, value]) =>
          badIn({ [name]: value })
        )
        if (separately.length > 1) several += 1
        expect(new Set(badIn(inputs))).toEqual(new Set(separately))
      }
    ),
    { numRuns: 500 }
  )
  expect(several).toBeGreaterThan(100)
})

test('only the first items of a long list of invalid items are shown', () => {
  const bad = Array.from({ length: 500 }, (_, index) => `!${index}`)
  expect(() => read({ 'protected-images': bad.join() })).toThrow(
    /"!0" \(invalid character "!"\), .*"!9" \(invalid character "!"\), 490 more\.$/
  )
})

const list = fc.uniqueArray(
  fc
    .array(fc.constantFrom('a', 'b-1', 'c.d', '*', '?'), {
      minLength: 1,
      maxLength: 4
    })
    .map((parts) => parts.join('/')),
  { maxLength: 5 }
)
const whole = (max: number) => fc.integer({ min: 0, max })

test('valid inputs are parsed correctly', () => {
  fc.assert(
    fc.property(
      fc.record({
        keepLast: whole(Number.MAX_SAFE_INTEGER),
        weeks: whole(99),
        days: whole(99),
        hours: whole(9_999),
        size: whole(9_000),
        unit: fc.constantFrom('B', 'kB', 'MB', 'GB', 'TB'),
        concurrency: fc.integer({ min: 1, max: 64 }),
        images: list,
        labels: list,
        separator: fc.constantFrom(',', '\n', ' , ', '\r\n', ',\n'),
        time: fc.date({
          min: new Date('1900-01-01'),
          max: new Date(now),
          noInvalidDate: true
        })
      }),
      (wanted) => {
        const { keepLast, weeks, days, hours, size, unit } = wanted
        const { policy, options } = read({
          'keep-last': String(keepLast),
          until: `${weeks}w${days}d${hours}h`,
          'build-cache-keep': `${size}${unit}`,
          concurrency: String(wanted.concurrency),
          'protected-images': wanted.images.join(wanted.separator),
          'protected-labels': wanted.labels
            .map((key) => `${key}=${key}=`)
            .join(wanted.separator)
        })
        const factor = 1_000 ** ['B', 'kB', 'MB', 'GB', 'TB'].indexOf(unit)
        expect(policy).toMatchObject({
          keepLast,
          until: { duration: ((weeks * 7 + days) * 24 + hours) * 3_600_000 },
          buildCacheKeep: size * factor,
          protectedImages: wanted.images,
          protectedLabels:
            wanted.labels.length > 0
              ? wanted.labels.map((key) => ({ key, value: `${key}=` }))
              : [{ key: 'keep' }]
        })
        expect(options.concurrency).toBe(wanted.concurrency)
        expect(read({ until: wanted.time.toISOString() }).policy.until).toEqual(
          {
            time: wanted.time.getTime()
          }
        )
      }
    ),
    { numRuns: 300 }
  )
})

test.each([
  ['/srv/x', '/srv/x'],
  ['/srv/x/ledgers', '/srv/x'],
  ['$RUNNER_TOOL_CACHE', '/home/me/.local/state'],
  ['x/../srv', './srv/']
])('with state-dir %s, the report file cannot be %s', (folder, file) => {
  expect(badIn({ 'state-dir': folder, 'report-file': file })).toEqual([
    'report-file'
  ])
  expect(() => read({ 'state-dir': folder, 'report-file': file })).toThrow(
    `state-dir (${JSON.stringify(folder)})`
  )
  expect(
    badIn({ 'state-dir': folder, 'report-file': `${folder}/..x/r.json` })
  ).toEqual([])
})

test('the ledger folder is in the tool cache, the user’s state folder, a custom folder, or disabled', () => {
  const stateDir = (env: Record<string, string>, text?: string) =>
    readInputs((name) => (name === 'state-dir' ? text : undefined), {
      now,
      env
    }).options.stateDir
  expect(stateDir({ RUNNER_TOOL_CACHE: '/tools', HOME: '/home/me' })).toBe(
    '/tools/docker-reclaim'
  )
  expect(stateDir({ XDG_STATE_HOME: '/state', HOME: '/home/me' })).toBe(
    '/state/docker-reclaim'
  )
  expect(stateDir({ HOME: '/home/me' }, '/srv/ledgers')).toBe('/srv/ledgers')
  expect(stateDir({ HOME: '/home/me' }, '')).toBe('')
})
