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

test('a line of the log is one line, and no command', () => {
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

test('what is harmless stays as it is', () => {
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
])('%j in the log', (text, line) => {
  expect(logLine(text)).toBe(line)
})

test.each([
  ['web', '`web`'],
  ['a`b', '``a`b``'],
  ['`', '`` ` ``'],
  ['a|b', '`a\\|b`'],
  ['', '`  `'],
  ['<script>', '`<script>`']
])('%j in the summary', (text, span) => {
  expect(code(text)).toBe(span)
})

test('nothing ends a code span or a cell of a table before its end', () => {
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

test('long text is cut', () => {
  expect(code('x'.repeat(1_000), 10)).toBe(`\`${'x'.repeat(10)}…\``)
})
