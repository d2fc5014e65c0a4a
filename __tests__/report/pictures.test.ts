import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { mermaidLabel, renderPie } from '../../src/report/pictures.ts'
import { makeTestReport, resource } from '../builders.ts'

const pie = (...parts: Parameters<typeof resource>[0][]) =>
  renderPie(makeTestReport(parts.map(resource)))

test('images are grouped by repository, other resources by kind', () => {
  const slices = pie(
    { references: ['docker.io/library/web:1'], bytes: 2e6 },
    { references: ['web:2'], bytes: 3e6 },
    { references: [], bytes: 1e6 },
    { kind: 'volume', bytes: 7e6 },
    { kind: 'build-cache', bytes: 4e6 },
    { outcome: 'failed', bytes: 9e6 }
  )
  expect(slices.match(/^ {2}".*$/gm)).toEqual([
    '  "volumes: 7 MB" : 7000000',
    '  "web: 5 MB" : 5000000',
    '  "build cache: 4 MB" : 4000000',
    '  "dangling images: 1 MB" : 1000000'
  ])
})

test('the smallest of many repositories share one slice', () => {
  const many = Array.from({ length: 20 }, (_, index) => ({
    references: [`app-${index}:1`],
    bytes: (index + 1) * 1e6
  }))
  const slices = pie(...many).match(/^ {2}".*$/gm) ?? []
  expect(slices).toHaveLength(8)
  expect(slices.at(-1)).toBe('  "13 others: 91 MB" : 91000000')
})

test('there is no pie if there is only one slice or no slice stands out', () => {
  const alike = Array.from({ length: 40 }, (_, index) => ({
    references: [`app-${index}:1`]
  }))
  expect(pie(...alike)).toBe('')
  expect(pie({ references: ['web:1'] }, { references: ['web:2'] })).toBe('')
  expect(pie({ bytes: 0 }, { kind: 'volume', bytes: null })).toBe('')
})

test.each([
  ['ghcr.io/acme/web', 'ghcr.io/acme/web'],
  ['[::1]:5000/web', '_::1_:5000/web'],
  ['a"b"; #quot; `c`', 'a_b__ _quot_ _c_'],
  ['two\nlines', 'two_lines'],
  ['  ', '_'],
  [`registry.example.com/${'x'.repeat(30)}/web`, `...${'x'.repeat(23)}/web`]
])('diagram label of %j', (text, label) => {
  expect(mermaidLabel(text)).toBe(label)
})

test('labels are short and contain no Mermaid syntax', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 90 }), (text) => {
      expect(mermaidLabel(text)).toMatch(/^[\w./:@+ -]{1,30}$/)
    }),
    { numRuns: 5_000 }
  )
})
