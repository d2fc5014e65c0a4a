import { expect, test } from '@jest/globals'
import { InputError } from '../../src/model/inputs.ts'
import { endingOf, withWantedSummary } from '../../src/run/ending.ts'
import { nothingDone } from '../../src/run/world.ts'

const success = { ...nothingDone, summary: 'summary', answer: 'answer' }

test.each([
  ['always', true, true],
  ['failures', false, true],
  ['never', false, false]
] as const)(
  'job-summary %s: written after a success: %s, after a failure: %s',
  (choice, afterSuccess, afterFailure) => {
    const wanted = (failure: string | undefined) =>
      withWantedSummary({ ...success, failure }, choice)
    for (const [failure, written] of [
      [undefined, afterSuccess],
      ['1 planned removal failed.', afterFailure]
    ] as const)
      expect(wanted(failure)).toEqual({
        ...{ ...success, failure },
        summary: written ? 'summary' : ''
      })
  }
)

test('an error ends with its message in the summary; a fault of ours, with its stack', () => {
  expect(endingOf(new InputError({ text: 'no engine' }))).toMatchObject({
    failure: 'no engine',
    summary: expect.stringContaining('no engine'),
    report: undefined
  })
  expect(endingOf(new TypeError('ours')).failure).toMatch(/ours\n +at /)
  expect(endingOf('text').failure).toBe('text')
})
