import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  imageMatcher,
  labelHalves,
  labelMatcher,
  longestLabel,
  parseLabelPattern,
  problemOfGlob,
  referenceMatcher
} from '../../src/model/patterns.ts'
import { parseReference } from '../../src/model/references.ts'

const digest = `sha256:${'a'.repeat(64)}`

test.each([
  ['node:20', { repository: 'node', tag: '20' }],
  ['docker.io/library/node:20', { repository: 'node', tag: '20' }],
  ['index.docker.io/acme/web', { repository: 'acme/web' }],
  ['localhost:5000/app', { repository: 'localhost:5000/app' }],
  ['localhost:5000/app:1', { repository: 'localhost:5000/app', tag: '1' }],
  [`app@${digest}`, { repository: 'app', digest }],
  [`app:1@${digest}`, { repository: 'app', tag: '1', digest }]
])('parts of %s', (reference, parts) => {
  expect(parseReference(reference)).toEqual({
    tag: undefined,
    digest: undefined,
    ...parts
  })
})

test.each([
  ['node', 'node:20', true],
  ['node', `node@${digest}`, true],
  ['node', 'acme/node:20', false],
  ['node:*', 'node:20', true],
  ['node:*', `node@${digest}`, true],
  ['node:2?', 'node:20', true],
  ['node:2?', 'node:200', false],
  ['node:2*', `node@${digest}`, false],
  ['node:20', 'node:20-slim', false],
  ['docker.io/library/node:20', 'node:20', true],
  ['docker.io/**', 'acme/web:1', true],
  // Official images alone, which have no path.
  ['docker.io/library/**', 'node:20', true],
  ['docker.io/library/**', 'acme/web:1', false],
  ['library/**', 'node:20', true],
  ['library/**', 'ghcr.io/acme/web:1', false],
  ['docker.io/**', 'ghcr.io/acme/web:1', false],
  ['docker.io/**', 'localhost/web:1', false],
  ['ghcr.io/acme/**', 'ghcr.io/acme/web:1', true],
  ['ghcr.io/acme/**', 'ghcr.io/acme/team/web:1', true],
  ['ghcr.io/acme/**', 'ghcr.io/acmeinc/web:1', false],
  ['ghcr.io/*', 'ghcr.io/acme/web:1', false],
  ['**/web', 'ghcr.io/acme/web:1', true],
  ['**/web', 'web:1', true],
  ['**', 'anything/at/all:1', true],
  ['*', 'node:20', true],
  ['*', 'acme/node:20', false],
  ['localhost:5000/*:v1.*', 'localhost:5000/app:v1.2', true],
  ['localhost:5000/*:v1.*', 'localhost:5000/app:v2.1', false],
  [`app@${digest}`, `app@${digest}`, true],
  [`app:1@${digest}`, `app@${digest}`, true],
  ['app@*', 'app:1', false],
  ['a.b', 'axb:1', false],
  ['**:latest', 'acme/web:latest', true],
  ['ghcr.io/Acme/Web:*', 'ghcr.io/acme/web:1', true],
  ['GHCR.io/acme/web:V1', 'ghcr.io/acme/web:v1', false],
  ['Docker.io/Library/Node', 'node:20', true],
  ['[::1]:5000/acme/*', '[::1]:5000/acme/web:1', true],
  ['[2001:DB8::1]/web', '[2001:db8::1]/web:1', true],
  ['[::1]:5000/acme/*', '[::2]:5000/acme/web:1', false],
  [`App@${digest.toUpperCase().replace('SHA', 'sha')}`, `app@${digest}`, true],
  ['app@sha256:aa*', `app@${digest}`, true]
])('glob %s on %s: %s', (glob, reference, matches) => {
  expect(problemOfGlob(glob)).toBeUndefined()
  expect(referenceMatcher(glob)(reference)).toBe(matches)
})

test.each([
  'node:[',
  '!node',
  'a{b,c}',
  'node:',
  '/node',
  'a//b',
  'no de',
  'node\\*',
  'acme**',
  '@(a|b)',
  'nöde',
  'redis:.*',
  'redis:-1',
  'redis:latest:latest',
  'redis:latest/',
  'redis@sha256',
  'redis@sha256:latest',
  'redis@a@b',
  'acme/.web',
  'acme-/web',
  'a..b',
  'acme:web/app',
  'acme/web:5000/app',
  '[::1/acme',
  'acme/[::1]:1',
  `app:${'a'.repeat(129)}`,
  '+x',
  '$x'
])('invalid glob: %s', (glob) => {
  expect(problemOfGlob(glob)).toBeDefined()
})

test.each([
  ['keep', { keep: '' }, true],
  ['keep', { keep: 'no' }, true],
  ['keep', { keeper: 'x' }, false],
  ['team=web', { team: 'web' }, true],
  ['team=web', { team: 'api' }, false],
  ['team=', { team: '' }, true],
  ['team=', { team: 'x' }, false],
  ['com.acme.*', { 'com.acme.role': 'x' }, true],
  ['com.acme.*', { 'comXacme.role': 'x' }, false],
  ['team=w*b', { team: 'w\nb' }, true],
  ['expr=a=b', { expr: 'a=b' }, true],
  ['*', {}, false]
])('label pattern %s on %j: %s', (text, labels, matches) => {
  const parsed = parseLabelPattern(text)
  const pattern = 'value' in parsed ? parsed.value : undefined
  expect(
    pattern && labelMatcher(pattern)(labels as Record<string, string>)
  ).toBe(matches)
})

/** The equivalent regular expression; too slow on long text to be used in the product. */
function toRegExp(glob: string): RegExp {
  const parts = glob.split('/').map((part, index, { length }) => {
    const last = index === length - 1
    if (part === '**') return last ? '[^/]+(/[^/]+)*' : '([^/]+/)*'
    const text = part
      .replaceAll('.', '\\.')
      .replaceAll('*', '[^/]*')
      .replaceAll('?', '[^/]')
    return last ? text : `${text}/`
  })
  return new RegExp(`^${parts.join('')}$`)
}

test('globs match like the equivalent regular expression', () => {
  const part = (letters: string) =>
    fc
      .array(fc.constantFrom(...letters.split('')), {
        minLength: 1,
        maxLength: 5
      })
      .map((all) => all.join('').replace(/\*\*+/g, '*'))
  const glob = fc
    .array(fc.oneof(part('ab.*?'), fc.constant('**')), {
      minLength: 1,
      maxLength: 4
    })
    .map((parts) => parts.join('/'))
  const path = fc
    .array(part('ab.'), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join('/'))
  let matched = 0
  fc.assert(
    fc.property(glob, path, (glob, path) => {
      const matches = referenceMatcher(glob)(`${path}:1`)
      if (matches) matched += 1
      expect(matches).toBe(toRegExp(glob).test(path))
    }),
    { numRuns: 20_000 }
  )
  expect(matched).toBeGreaterThan(500)
})

test('patterns of any length match quickly', () => {
  const stars = '*a'.repeat(40)
  const path = 'a'.repeat(200)
  expect(referenceMatcher(`${stars}*b`)(`${path}:1`)).toBe(false)
  expect(referenceMatcher(`${stars}*`)(`${path}:1`)).toBe(true)
  expect(referenceMatcher(`app:${stars}*b`)(`app:${path}`)).toBe(false)
  expect(referenceMatcher('**/a/'.repeat(40) + 'b')('a/'.repeat(200))).toBe(
    false
  )
  expect(referenceMatcher('x'.repeat(100_000))('node:1')).toBe(false)
  const label = { key: `${stars}*b`, value: undefined }
  expect(labelMatcher(label)({ ['a'.repeat(100_000)]: '' })).toBe(false)
})

test.each([
  [digest, true],
  [digest.toUpperCase(), true],
  ['a'.repeat(12), true],
  ['sha256:' + 'a'.repeat(12), true],
  ['A'.repeat(20), true],
  ['a'.repeat(11), false],
  ['b'.repeat(12), false]
])('image ID %s', (pattern, matches) => {
  expect(problemOfGlob(pattern)).toBeUndefined()
  expect(imageMatcher(pattern)(digest, ['app:1'])).toBe(matches)
  // The same text may be a repository name.
  const name = `${pattern.toLowerCase()}:1`
  expect(imageMatcher(pattern)('', [name])).toBe(!pattern.includes(':'))
})

test.each([
  '=web',
  '"keep"',
  "'team=web'",
  'team="web"',
  'team = web',
  'team= web',
  'my team=web'
])('invalid label pattern: %s', (text) => {
  expect(parseLabelPattern(text)).toHaveProperty('problem')
})

test.each([
  ['doc', true],
  ['doc=*', true],
  ['doc=start*', true],
  ['doc=start*end', true],
  ['doc=other*', false],
  // The rest is unknown, but the value is longer than the pattern.
  ['doc=start', false],
  ['other=start*', false]
])('on a truncated label, %s matches: %s', (text, matches) => {
  const parsed = parseLabelPattern(text)
  if (!('value' in parsed)) throw new Error(parsed.problem)
  const labels = { doc: 'start'.padEnd(longestLabel + 1, 'x') }
  expect(labelMatcher(parsed.value)(labels)).toBe(matches)
})

test('without a guess, a truncated label only matches if its start decides', () => {
  const certain = (value: string | undefined) =>
    labelHalves({ key: 'doc', value }, false).value(
      'start'.padEnd(longestLabel + 1, 'x')
    )
  expect(
    ['*', 'start*', 'start*end', 'other*', undefined].map(certain)
  ).toEqual([true, true, false, false, true])
})
