import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { code, logLine, neutralise } from '../../src/report/text.ts'

const hostile = fc
  .string({ unit: 'binary', maxLength: 60 })
  .map((text) =>
    text
      .replace(/a/g, '`')
      .replace(/b/g, '|')
      .replace(/c/g, '::')
      .replace(/d/g, '##[')
      .replace(/e/g, '\\')
  )

test('a log line is a single line and never a runner command', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const line = logLine(text)
      expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}]/u)
      expect(line.trim()).not.toMatch(/^::/)
      expect(line).not.toContain('##[')
    }),
    { numRuns: 5_000 }
  )
})

test('harmless text is unchanged', () => {
  for (const text of [
    'ghcr.io/acme/web:1',
    'größe 日本',
    'dial tcp [::1]:2375',
    '{"a": "b"}'
  ])
    expect(neutralise(text)).toBe(text)
})

test.each([
  ['::error::x', '\\u{3a}:error::x'],
  ['  ::error::x', '  \\u{3a}:error::x'],
  ['a\n::error::x', 'a\\u{a}::error::x'],
  ['x ##[error]y', 'x ##\\u{5b}error]y'],
  ['\u001b[31mred', '\\u{1b}[31mred']
])('log line of %j', (text, line) => {
  expect(logLine(text)).toBe(line)
})

test.each([
  ['web', '`web`'],
  ['a`b', '``a`b``'],
  ['`', '`` ` ``'],
  ['a|b', '`a\\|b`'],
  ['', '`  `'],
  ['<script>', '`<script>`']
])('code span of %j', (text, span) => {
  expect(code(text)).toBe(span)
})

test('text cannot end a code span or a table cell', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const span = code(text)
      const [fence = ''] = /^`+/.exec(span) ?? []
      const inner = span.slice(fence.length, -fence.length)
      expect(span.endsWith(fence)).toBe(true)
      for (const run of inner.match(/`+/g) ?? [])
        expect(run.length).not.toBe(fence.length)
      expect(inner).not.toMatch(/(?<!\\)\||\\\\\||\n/)
    }),
    { numRuns: 5_000 }
  )
})

test('long text is truncated', () => {
  expect(code('x'.repeat(1_000), 10)).toBe(`\`${'x'.repeat(10)}…\``)
})
