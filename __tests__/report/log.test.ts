import { expect, test } from '@jest/globals'
import { defaults } from '../../src/model/inputs.ts'
import { scopeLines } from '../../src/report/log.ts'
import { day, policy, pullRequests } from '../builders.ts'

const scope = pullRequests()

test('the log names the scope and the inputs that it ignores', () => {
  const off = policy({ scope, keepLast: 0, until: { duration: 0 } })
  expect(scopeLines(off, defaults)).toEqual([
    'Scope: pull request 1 of acme/web',
    'Off in this scope: keep-last: 3, until: 24h (the default counts as not given)'
  ])
  const inputs = { ...defaults, 'keep-last': '2', until: '2026-01-01' }
  const given = policy({ scope, keepLast: 2, until: { time: day } })
  expect(scopeLines(given, inputs)).toEqual([
    'Scope: pull request 1 of acme/web'
  ])
  // Set explicitly to the values that apply anyway.
  const zero = { ...defaults, 'keep-last': '0', until: '0s' }
  expect(scopeLines(off, zero)).toEqual(['Scope: pull request 1 of acme/web'])
  expect(scopeLines(policy(), defaults)).toEqual([])
})
