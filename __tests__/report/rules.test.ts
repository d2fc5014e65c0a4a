import { expect, test } from '@jest/globals'
import { renderRules } from '../../src/report/rules.ts'
import type { Report, Resource } from '../../src/report/schema.ts'
import { renderStopped } from '../../src/report/sections.ts'
import { renderSummary } from '../../src/report/summary.ts'
import { facts, makeTestReport, resource } from '../builders.ts'
import { hostileTexts } from '../hostile.ts'

type RuleFigures = NonNullable<Report['rules']>[number]

function reportOf(
  parts: readonly Partial<RuleFigures>[],
  dryRun = false
): Report {
  const rules = parts.map<RuleFigures>((one, index) => ({
    ...{ line: index + 1, kind: 'image', pattern: 'app:*', settings: 'keep' },
    ...{ matched: 3, removed: 2, kept: 1, bytes: 1_500_000 },
    ...one
  }))
  return { ...makeTestReport([], { withoutRule: 4 }), dryRun, rules }
}

/** The cells of every row of a table. */
function rowsOf(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.slice(2, -2).split(/(?<!\\) \| /))
}

test('without rules there is no table', () => {
  expect(renderRules(reportOf([]))).toBe('')
})

test('every rule has a row, and what no rule decides the last', () => {
  const rule = { kind: 'label', pattern: 'a=b', settings: 'until=1d' } as const
  const [head, , first, last, ...others] = rowsOf(
    renderRules(reportOf([rule], true))
  )
  expect(head?.slice(3)).toEqual(['would go', 'would stay', 'would free'])
  expect(first).toEqual([
    ...['1', '`label a=b until=1d`'],
    ...['3', '2', '1', '1.5\u00a0MB']
  ])
  expect(last?.slice(1, 3)).toEqual(['no rule: the other inputs decide', '4'])
  expect(others).toEqual([])
})

test('the table is open in a dry run, and folded after a removal', () => {
  expect(renderRules(reportOf([{}], true))).toMatch(/^### Rules\n/)
  expect(renderRules(reportOf([{}]))).toMatch(/^<details><summary>Rules: 1</)
})

test('200 rules all have a row', () => {
  const rules = Array.from({ length: 200 }, (_, index) => ({
    pattern: `ghcr.io/acme/app-${index}/**:build-*`
  }))
  expect(rowsOf(renderRules(reportOf(rules, true)))).toHaveLength(203)
})

test('too many rules for a summary leave room for the rest of it', () => {
  const rules = Array.from({ length: 8_000 }, () => ({
    pattern: 'x'.repeat(5_000)
  }))
  const text = renderRules(reportOf(rules, true))
  expect(Buffer.byteLength(text)).toBeLessThan(110_000)
  expect(text).toMatch(/… and \d+ more, all in the report file\.$/)
  const all = { ...facts([]), report: reportOf(rules, true) }
  expect(renderSummary(all)).toContain('### Rules')
})

test('patterns and names cannot break out of their cells', () => {
  const rules = hostileTexts.map((pattern) => ({ pattern }))
  const stopped = hostileTexts.map((name) =>
    resource({
      kind: 'container',
      name,
      references: [],
      detail: name,
      stop: 'stopped'
    })
  )
  for (const [text, width] of [
    [renderRules(reportOf(rules, true)), 6],
    [renderStopped(makeTestReport(stopped)), 3]
  ] as const) {
    const rows = rowsOf(text)
    expect(rows.length).toBeGreaterThanOrEqual(hostileTexts.length + 2)
    for (const row of rows) expect(row).toHaveLength(width)
  }
})

test('only stopped containers are listed as stopped, with what they ran', () => {
  const detail = 'stopped; was running for 31 h, image web:3'
  const ci41: Partial<Resource> = {
    kind: 'container',
    name: 'ci-41',
    references: [],
    detail
  }
  const report = makeTestReport([
    resource({ ...ci41, stop: 'stopped' }),
    resource({ kind: 'container', name: 'other', references: [] })
  ])
  expect(rowsOf(renderStopped(report)).slice(2)).toEqual([
    ['container', '`ci-41`', `\`${detail}\``]
  ])
  expect(renderStopped(makeTestReport([resource()]))).toBe('')
})
