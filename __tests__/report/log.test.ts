import { expect, test } from '@jest/globals'
import { defaults } from '../../src/model/inputs.ts'
import { scopeLines } from '../../src/report/log.ts'
import { policy, pullRequests } from '../builders.ts'

const scope = pullRequests()

test('the log names the scope and the inputs that it ignores', () => {
  const off = policy({ scope, ignored: ['keep-last', 'until'] })
  expect(scopeLines(off, defaults)).toEqual([
    'Scope: pull request 1 of acme/web',
    'Ignored in this scope: keep-last: 3, until: 24h (still at the default)'
  ])
  expect(scopeLines(policy({ scope }), defaults)).toEqual([
    'Scope: pull request 1 of acme/web'
  ])
  expect(scopeLines(policy(), defaults)).toEqual([])
})
