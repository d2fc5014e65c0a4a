import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { readInputs } from '../../src/inputs/read.ts'
import { parseRules } from '../../src/inputs/rules.ts'
import { InputError } from '../../src/model/inputs.ts'
import { describeRule, type Rule, ruleKinds } from '../../src/model/rules.ts'

const now = Date.UTC(2026, 0, 31)
const hour = 3_600_000
const day = 24 * hour

function parse(text: string): Rule[] {
  const { rules, problems } = parseRules(text, now)
  expect(problems).toEqual([])
  return rules
}

/** Returns the problems as the message shows them: `line 2: got "x"; …`. */
function problemsOf(text: string): string[] {
  return parseRules(text, now).problems.map((problem) =>
    problem.join(': ').replace(/^rules: /, '')
  )
}

/** Also a lone CR ends a line: a rule after it must not be lost in a comment. */
const lineEnd = /\r\n?|\n/

test.each([
  ['app keep', { kind: 'image', pattern: 'app', keep: true }],
  ['image app:1 keep', { kind: 'image', pattern: 'app:1', keep: true }],
  ['container ci-* keep', { kind: 'container', pattern: 'ci-*', keep: true }],
  ['network net? keep', { kind: 'network', pattern: 'net?', keep: true }],
  ['volume data keep', { kind: 'volume', pattern: 'data', keep: true }],
  ['label stage=dev keep', { kind: 'label', pattern: 'stage=dev' }],
  ['label keep keep', { kind: 'label', pattern: 'keep' }],
  // The first word is always a kind, and a quoted one never.
  ['image volume keep', { kind: 'image', pattern: 'volume' }],
  ['image image keep', { kind: 'image', pattern: 'image' }],
  ['volume volume keep', { kind: 'volume', pattern: 'volume' }],
  ['"volume" keep', { kind: 'image', pattern: 'volume' }],
  ['volumes keep', { kind: 'image', pattern: 'volumes' }],
  ['<none> until=1h', { kind: 'image', pattern: '<none>' }],
  ['** keep', { kind: 'image', pattern: '**' }],
  ['ghcr.io:443/acme/** keep', { pattern: 'ghcr.io:443/acme/**' }],
  ['app@sha256:4bc4* keep', { pattern: 'app@sha256:4bc4*' }],
  ['0123456789ab keep', { pattern: '0123456789ab' }],
  ['network "my net" keep', { kind: 'network', pattern: 'my net' }],
  ['network "a # b" keep', { kind: 'network', pattern: 'a # b' }],
  ['label "team=web and api" keep', { pattern: 'team=web and api' }],
  ['label team=a#b keep', { pattern: 'team=a#b' }],
  ['\t app \t keep  ', { pattern: 'app', settings: 'keep' }]
])('%s', (line, rule) => {
  expect(parse(line)).toMatchObject([{ line: 1, ...rule }])
})

test.each([
  ['until=0s', { until: { duration: 0 } }],
  ['until=1w2d', { until: { duration: 9 * day } }],
  ['until=2026-01-01', { until: { time: Date.UTC(2026, 0, 1) } }],
  ['until=2026-01-30T12:00:00Z', { until: { time: now - 12 * hour } }],
  ['keep-last=0', { keepLast: 0 }],
  ['keep-last=10', { keepLast: 10 }],
  ['stop-after=90m', { stopAfter: 1.5 * hour }],
  ['until=30d keep-last=10', { until: { duration: 30 * day }, keepLast: 10 }],
  ['keep-last=10 until=30d', { until: { duration: 30 * day }, keepLast: 10 }],
  [
    'stop-after=6h until=0s keep-last=2',
    { stopAfter: 6 * hour, until: { duration: 0 }, keepLast: 2 }
  ]
])('a rule with %s sets that and nothing else', (settings, values) => {
  expect(parse(`label a ${settings}`)).toEqual([
    { line: 1, kind: 'label', pattern: 'a', settings, keep: false, ...values }
  ])
})

test.each([
  ['no text', '', []],
  ['blank lines', '\n \t\n\r\n', []],
  ['comments', '# a\n  # b keep\n#', []],
  ['a comment after a rule', 'a keep # b until=x', [1]],
  ['a comment after a tab', 'a keep\t#', [1]],
  ['a comment with a quote', 'a keep # "', [1]],
  ['a comment with other line separators', '# a\u2028b\u2029c\u0085d', []],
  ['lines that end with CR', '# a\rb keep\r\rc keep', [2, 4]],
  ['lines that end with CRLF', '# a\r\nb keep\r\n\r\nc until=1h\r\n', [2, 4]],
  ['lines between', '\n\na keep\n\n# b\nc keep\n', [3, 6]]
])('%s: the rules keep the numbers of their lines', (_, text, lines) => {
  expect(parse(text).map(({ line }) => line)).toEqual(lines)
})

test('a rule in words', () => {
  expect(
    parse('a until=30d keep-last=10\nvolume "b" keep').map(describeRule)
  ).toEqual(['rule 1 `a`: until 30d, keep-last 10', 'rule 2 `volume b`: keep'])
})

const known = 'expected keep, until=, keep-last= or stop-after='
const until =
  'until= expects a duration such as 36h, 7d, 1w2d or 0s, a date such as 2026-01-31, or an RFC 3339 time'
const glob =
  'expected a reference glob such as **:dev-*, an image ID or <none>: '
const counts = 'keep-last= only applies to tagged images and labels'
const stops = 'stop-after= only applies to containers and labels'
const quotes = 'a quote is not closed, or not followed by a space'

test.each([
  ['app Keep', `unknown word "Keep", ${known}`],
  ['app keep=1', `unknown word "keep=1", ${known}`],
  [
    'app until 7d',
    `unknown word "until", ${known}; unknown word "7d", ${known}`
  ],
  ['app older-than=7d', `unknown word "older-than=7d", ${known}`],
  ['app __proto__=1', `unknown word "__proto__=1", ${known}`],
  ['app constructor', `unknown word "constructor", ${known}`],
  ['app=1 keep', `${glob}invalid character "="`],
  ['app until=1h until=2h', 'until= is set twice'],
  ['app keep-last=1 keep-last=1', 'keep-last= is set twice'],
  ['container a stop-after=1h stop-after=2h', 'stop-after= is set twice'],
  ['app keep keep', 'keep is set twice'],
  ['app', `${known} after the pattern`],
  ['volume data', `${known} after the pattern`],
  ['app # keep', `${known} after the pattern`],
  ['app keep until=1h', 'keep excludes other settings'],
  ['app keep-last=1 keep', 'keep excludes other settings'],
  ['app until=', until],
  ['app until=10', until],
  ['app until=-1h', until],
  ['app until=2026-02-01', until],
  ['app until=2027-01-01T00:00:00Z', until],
  ['app until=1700-01-01', until],
  ['app keep-last=', 'keep-last= expects a whole number, 0 or more'],
  ['app keep-last=-1', 'keep-last= expects a whole number, 0 or more'],
  ['app keep-last=1.5', 'keep-last= expects a whole number, 0 or more'],
  ['app keep-last=all', 'keep-last= expects a whole number, 0 or more'],
  ['label a stop-after=0s', 'stop-after= expects a duration above 0s'],
  ['label a stop-after=0', 'stop-after= expects a duration above 0s'],
  ['label a stop-after=', 'stop-after= expects a duration above 0s'],
  ['label a stop-after=2026-01-01', 'stop-after= expects a duration above 0s'],
  ['<none> keep-last=1', counts],
  ['container a keep-last=1', counts],
  ['network a keep-last=1', counts],
  ['volume a keep-last=1', counts],
  ['app stop-after=1h', stops],
  ['<none> stop-after=1h', stops],
  ['network a stop-after=1h', stops],
  ['volume a stop-after=1h', stops],
  ['app[ keep', `${glob}invalid character "["`],
  ['!app keep', `${glob}invalid character "!"`],
  ['app: keep', `${glob}it has an empty part`],
  ['acme//app keep', `${glob}it has an empty part`],
  ['acme/a** keep', `${glob}** must stand for whole parts between slashes`],
  ['<None> keep', `${glob}invalid character "<"`],
  ['"my app" keep', `${glob}invalid character " "`],
  ['"" keep', 'the pattern is empty'],
  ['volume "" keep', 'the pattern is empty'],
  [
    'container ci/* keep',
    'expected a name with * and ?: invalid character "/"'
  ],
  ['volume data:1 keep', 'expected a name with * and ?: invalid character ":"'],
  ['label =a keep', 'expected key or key=value: the key is missing'],
  ['label "a b" keep', /^expected key or key=value: remove the spaces/],
  ["label a='b' keep", 'expected key or key=value: remove the quotes'],
  ['app "keep', quotes],
  ['network "my net keep', quotes],
  ['network "my"net keep', quotes],
  // Several problems of one line.
  [
    'app[ keep stop-after=0s x',
    `${glob}invalid character "["; stop-after= expects a duration above 0s; unknown word "x", ${known}; keep excludes other settings`
  ]
])('%s is rejected', (line, problem) => {
  const start = `line 1: got ${JSON.stringify(line)}; `
  const [found = '', ...more] = problemsOf(line)
  expect(more).toEqual([])
  expect(found.slice(0, start.length)).toBe(start)
  expect(found.slice(start.length)).toEqual(
    typeof problem === 'string' ? problem : expect.stringMatching(problem)
  )
})

test.each(ruleKinds)('%s alone lacks a pattern', (kind) => {
  for (const line of [kind, ` ${kind} # a`])
    expect(problemsOf(line)).toEqual([
      `line 1: got ${JSON.stringify(line.trim())}; expected a pattern after ${kind} (to match an image of that name: image ${kind} …)`
    ])
  // "keep" is the pattern of that kind, not the setting.
  expect(problemsOf(`${kind} keep`)).toEqual([
    `line 1: got "${kind} keep"; ${known} after the pattern`
  ])
})

test.each([
  ['a keep', 'a until=1h'],
  ['a keep', 'image a keep'],
  ['volume "a" keep', 'volume a until=1h'],
  // A pattern counts even if the rest of its line is invalid.
  ['a keeps', 'a keep']
])('%s, then %s: the pattern is the same', (first, second) => {
  expect(problemsOf(`${first}\n\n${second}`).at(-1)).toBe(
    `line 3: got ${JSON.stringify(second)}; line 1 has the same pattern`
  )
})

test('the same pattern may stand once for each kind', () => {
  const lines = [...ruleKinds, ''].map((kind) => `${kind} app keep`)
  expect(problemsOf(lines.slice(0, -1).join('\n'))).toEqual([])
  expect(problemsOf(lines.join('\n'))).toHaveLength(1)
})

test('one message lists all bad lines together with other invalid inputs', () => {
  const inputs: Record<string, string> = {
    rules: 'a keep\nb\n# c\r\nd until=x\nvolume\n',
    'keep-last': 'x'
  }
  const read = () => readInputs((name) => inputs[name], { now, env: {} })
  expect(read).toThrow(InputError)
  expect(read).toThrow(
    /^Invalid input\..*\nkeep-last: got "x"; .*\nrules: line 2: got "b"; .*\nrules: line 4: got "d until=x"; .*\nrules: line 5: got "volume"; .*\.$/
  )
})

test('only the first bad lines are shown, each only from its beginning', () => {
  const bad = Array.from({ length: 60 }, (_, index) => `a${index}`)
  const problems = problemsOf(bad.join('\n'))
  expect(problems).toHaveLength(51)
  expect(problems[49]).toMatch(/^line 50: got "a49"; /)
  expect(problems[50]).toBe('…: 10 more bad lines')
  for (const long of ['x'.repeat(100_000), `a ${'x '.repeat(50_000)}`])
    expect(problemsOf(long).join('').length).toBeLessThan(1_000)
  expect(problemsOf('a b c d e f g h')).toEqual([
    expect.stringMatching(/unknown word "f", [^;]*; 2 more problems$/)
  ])
})

const word = fc.oneof(
  fc.constantFrom(
    ...[...ruleKinds, 'keep', 'until=1h', 'until=0s', 'keep-last=2'],
    ...['stop-after=1h', 'until=', 'keep-last=x', '<none>', '**', 'app:1'],
    ...['acme/**', 'data*', 'a=b', '"a b"', '"', '#', '# c', '""', '"app"'],
    ...['__proto__', 'constructor', '\0', '\u2028', '\ud83d', '\r', '[']
  ),
  fc.string({ maxLength: 5 }),
  fc.string({ unit: 'binary', maxLength: 5 })
)
const line = fc.oneof(
  fc
    .tuple(
      fc.array(word, { maxLength: 5 }),
      fc.constantFrom(' ', ' ', ' ', '  ', '\t', '')
    )
    .map(([words, space]) => words.join(space)),
  fc.constantFrom('app:1 keep', 'image app:1 until=1h', 'volume data keep')
)
const text = fc
  .tuple(fc.array(line, { maxLength: 8 }), fc.constantFrom('\n', '\r\n', '\r'))
  .map(([lines, end]) => lines.join(end))

test('of any text, each line is a rule, no rule, or bad and named with its number and text', () => {
  const seen = { rule: 0, none: 0, bad: 0, twice: 0 }
  fc.assert(
    fc.property(text, (text) => {
      const { rules, problems } = parseRules(text, now)
      const places = problems.map(([place]) => place)
      const patterns = new Set<string>()
      for (const [index, source] of text.split(lineEnd).entries()) {
        const number = index + 1
        const alone = parseRules(source, now)
        const [rule] = alone.rules
        const pattern = `${rule?.kind ?? ''} ${rule?.pattern ?? ''}`
        const found = rules.filter(({ line }) => line === number)
        const wrong = problems.filter(
          (_, at) => places[at] === `rules: line ${number}`
        )
        expect(found.length + wrong.length).toBeLessThan(2)
        for (const [, problem] of wrong)
          expect(problem).toContain(`got ${JSON.stringify(source.trim())}; `)
        if (alone.problems.length > 0) {
          seen.bad += 1
          expect(wrong).toHaveLength(1)
        } else if (rule === undefined) {
          seen.none += 1
          expect([...found, ...wrong]).toEqual([])
        } else if (wrong.length > 0) {
          seen.twice += 1
          expect(wrong[0]?.[1]).toMatch(/; line \d+ has the same pattern$/)
        } else {
          seen.rule += 1
          expect(found).toEqual([{ ...rule, line: number }])
          expect(patterns).not.toContain(pattern)
          patterns.add(pattern)
        }
      }
      for (const place of places) expect(place).toMatch(/^rules: line \d+$/)
    }),
    { numRuns: 2_000 }
  )
  for (const number of Object.values(seen)) expect(number).toBeGreaterThan(50)
})

const parts = fc
  .array(fc.constantFrom('a', 'b-1', 'c.d', '*', '?', '**'), {
    minLength: 1,
    maxLength: 3
  })
  .map((all) => all.join('/'))
const name = fc
  .array(fc.constantFrom('a', 'b-1', 'c_d', '*', '?'), { minLength: 1 })
  .map((all) => all.join(''))
const anyName = fc
  .string({ minLength: 1 })
  .filter((one) => !/["\r\n]/.test(one))
const labelPattern = fc
  .tuple(name, fc.option(anyName))
  .map(([key, value]) => (value === null ? key : `${key}=x${value}`))
const duration = fc
  .tuple(fc.integer({ min: 1, max: 999 }), fc.constantFrom('s', 'm', 'h', 'd'))
  .map(([number, unit]) => `${number}${unit}`)
const untilSetting = fc
  .oneof(duration, fc.constantFrom('0s', '2026-01-01', '2025-12-31T23:59:59Z'))
  .map((value) => `until=${value}`)
const keepLast = fc.nat().map((value) => `keep-last=${value}`)
const stopAfter = duration.map((value) => `stop-after=${value}`)

const patternsOf = {
  image: fc.oneof(
    parts,
    fc.tuple(parts, fc.constantFrom('*', 'dev-?')).map((all) => all.join(':')),
    fc.constantFrom('<none>', ...ruleKinds)
  ),
  container: name,
  network: anyName,
  volume: name,
  label: labelPattern
}
const settingsOf = {
  image: [untilSetting, keepLast],
  container: [untilSetting, stopAfter],
  network: [untilSetting],
  volume: [untilSetting],
  label: [untilSetting, keepLast, stopAfter]
}

/** Valid lines: a kind, a pattern, and any of the settings of that kind, in any order. */
const validRule = fc.constantFrom(...ruleKinds).chain((kind) =>
  fc.tuple(fc.constant(kind), patternsOf[kind]).chain(([kind, pattern]) =>
    fc.record({
      kind: fc.constant(kind),
      pattern: fc.constant(pattern),
      settings: fc.oneof(
        fc.constant(['keep']),
        fc.tuple(...settingsOf[kind]).chain((all) =>
          fc.shuffledSubarray(
            all.filter(
              (one) => pattern !== '<none>' || !one.startsWith('keep-last')
            ),
            { minLength: 1 }
          )
        )
      )
    })
  )
)

test('a rule written with its pattern in quotes and its settings is read back the same', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(validRule, {
        maxLength: 5,
        selector: ({ kind, pattern }) => `${kind} ${pattern}`
      }),
      fc.constantFrom(' ', '\t', '  '),
      (wanted, space) => {
        const write = (
          rules: readonly { kind: string; pattern: string; settings: string }[]
        ) =>
          rules
            .map(({ kind, pattern, settings }) =>
              [kind, `"${pattern}"`, settings].join(space)
            )
            .join('\n')
        const lines = wanted.map((rule) => ({
          ...rule,
          settings: rule.settings.join(' ')
        }))
        const rules = parse(write(lines))
        expect(rules).toMatchObject(lines)
        expect(parse(write(rules))).toEqual(rules)
      }
    ),
    { numRuns: 1_000 }
  )
})
