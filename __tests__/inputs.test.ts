import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { defaults, InputError, readInputs } from '../src/inputs.ts'

const now = Date.UTC(2026, 0, 31)
const read = (inputs: Record<string, string>) =>
  readInputs((name) => inputs[name], {
    now,
    env: { RUNNER_TEMP: '/temp', HOME: '/home/me' }
  })

test('without inputs the defaults hold', () => {
  expect(read({})).toEqual({
    texts: defaults,
    policy: {
      keepLast: 3,
      until: { duration: 24 * 3_600_000 },
      ageFrom: 'last-used',
      protectedLabels: [{ key: 'keep', value: undefined }],
      protectedImages: [],
      includeContainers: true,
      includeImages: true,
      includeNetworks: true,
      includeVolumes: 'none',
      includeBuildCache: true,
      buildCacheKeep: 0
    },
    options: {
      dryRun: false,
      timeout: 900_000,
      concurrency: 4,
      docker: 'docker',
      stateDir: '/home/me/.local/state/docker-reclaim',
      reportFile: '/temp/docker-reclaim/report.json'
    }
  })
})

test.each(['$RUNNER_TEMP/r.json', '$RUNNER_TEMP\\r.json'])(
  'the folders of the runner stand in paths, written as on every system: %s',
  (path) => {
    const { options } = read({ 'report-file': path })
    expect(options.reportFile).toBe(path.replace('$RUNNER_TEMP', '/temp'))
  }
)

test('lists take one item a line, or commas', () => {
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
  ['include-images', 'Dangling', { includeImages: 'dangling' }],
  ['build-cache-keep', '10GB', { buildCacheKeep: 1e10 }],
  ['build-cache-keep', '0', { buildCacheKeep: 0 }],
  ['until', '2026-01-01', { until: { time: Date.UTC(2026, 0, 1) } }],
  ['until', '1w', { until: { duration: 7 * 24 * 3_600_000 } }],
  ['keep-last', '0', { keepLast: 0 }]
])('%s: %s', (name, value, policy) => {
  expect(read({ [name]: value }).policy).toMatchObject(policy)
})

test('a report file of one’s own', () => {
  expect(read({ 'report-file': '/var/report.json' }).options.reportFile).toBe(
    '/var/report.json'
  )
  expect(read({ 'report-file': '$RUNNER_TEMP' }).options.reportFile).toBe(
    '/temp'
  )
})

test('whatever is written into an input, it is read, or refused by its name', () => {
  const names = Object.keys(defaults)
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.integer().map(String),
    fc.constantFrom(
      'true',
      'all',
      '7d',
      '10GB',
      'a=b',
      'x'.repeat(100_000),
      '__proto__',
      'constructor',
      'toString'
    )
  )
  let refused = 0
  fc.assert(
    fc.property(fc.constantFrom(...names), text, (name, value) => {
      try {
        read({ [name]: value })
      } catch (error) {
        refused += 1
        expect(error).toBeInstanceOf(InputError)
        const { message } = error as InputError
        expect(message).toContain(`${name}: got `)
        expect(message.length).toBeLessThan(250_000)
      }
    }),
    { numRuns: 5_000 }
  )
  expect(refused).toBeGreaterThan(1_000)
})

test('the folder of the ledgers: the tool cache, the user’s state, one of one’s own, or none', () => {
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
