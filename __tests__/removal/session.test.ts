import { expect, test } from '@jest/globals'
import { DockerError, type DockerErrorKind } from '../../src/docker/errors.ts'
import type { Result } from '../../src/model/outcome.ts'
import {
  createSession,
  fail,
  finish,
  record,
  recordStop,
  recordTakenOff,
  whyOver
} from '../../src/removal/session.ts'
import { noStream } from '../../src/removal/stream.ts'
import { inventory, item } from '../builders.ts'

function session(deadline = Infinity, signal = new AbortController().signal) {
  const results: Result[] = []
  return {
    results,
    ...createSession({
      docker: () => Promise.reject(new Error('not to be called')),
      inventory: inventory(),
      stream: noStream,
      concurrency: 1,
      deadline,
      signal,
      onResult: (result) => results.push(result),
      onFallback: () => undefined
    })
  }
}

test.each<[DockerErrorKind | undefined, number, string | undefined]>([
  [undefined, Infinity, undefined],
  [undefined, 0, 'timeout'],
  ['no-engine', Infinity, 'failed'],
  ['no-engine', 0, 'failed'],
  ['no-answer', Infinity, 'failed'],
  ['no-answer', 0, 'timeout']
])(
  'after the error %s with the deadline %s it is over: %s',
  (kind, deadline, why) => {
    const one = session(deadline)
    if (kind) fail(one, new DockerError(kind, { text: '' }))
    expect(whyOver(one)).toBe(why)
    expect(whyOver(session(deadline, AbortSignal.abort()))).toBe('cancelled')
  }
)

test('the first outcome of an item and the first error count', () => {
  const one = session()
  const network = item('network', 'n')
  record(one, network, { outcome: 'gone' })
  record(one, network, { outcome: 'failed' })
  fail(one, new Error('first'))
  fail(one, new Error('second'))
  const { results, fatal } = finish(one, [network])
  expect(results).toEqual([{ item: network, outcome: 'gone' }])
  expect(one.results).toEqual(results)
  expect(fatal?.message).toContain('first')
})

test('an item that stays has what the run has done to it in its detail', () => {
  const one = session()
  const [image, container] = [item('image', 'i'), item('container', 'c')]
  recordTakenOff(one, image, ['app:1'])
  recordTakenOff(one, image, ['app:1', 'app:2'])
  recordStop(one, [container])
  expect(finish(one, [image, container]).results).toMatchObject([
    {
      detail: 'not removed: the timeout was reached; untagged: app:1, app:2',
      removedReferences: ['app:1', 'app:2'],
      heldBy: 'timeout'
    },
    { detail: 'was asked to stop; not removed: the timeout was reached' }
  ])
})
