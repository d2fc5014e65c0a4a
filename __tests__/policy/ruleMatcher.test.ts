import { expect, test } from '@jest/globals'
import { parseRules } from '../../src/inputs/rules.ts'
import { createRuleMatcher } from '../../src/policy/ruleMatcher.ts'
import { image, now } from '../builders.ts'

test('rules of all forms are found in the order of their lines', () => {
  const id = `sha256:${'ab'.repeat(32)}`
  const lines = [
    'label stage=dev',
    '**/app:build-*',
    'other:*',
    'abababababab',
    '**',
    'docker.io/**',
    'ghcr.io/aba*aba/app',
    'label stage=d*',
    'ghcr.io/*'
  ]
  const { rules } = parseRules(
    lines.map((line) => `${line} keep`).join('\n'),
    now
  )
  const reference = 'ghcr.io/aba/app:build-1'
  const found = createRuleMatcher(rules).ofImage(
    image(id, { labels: { stage: 'dev' } }),
    [reference]
  )
  expect(found.get(reference)?.map(({ line }) => line)).toEqual([1, 2, 4, 5, 8])
})
