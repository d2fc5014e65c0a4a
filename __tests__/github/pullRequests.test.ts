import { afterEach, expect, test } from '@jest/globals'
import { InputError } from '../../src/model/inputs.ts'
import { askGitHub } from '../../src/github/pullRequests.ts'
import { makeQuery } from '../../src/github/query.ts'
import {
  faults,
  primaryLimitFor,
  problemsOfQuery,
  startGitHub,
  type Fault,
  type GitHub,
  type GitHubFacts,
  type PullRequests
} from '../github.ts'

const token = 'ghs_0123456789'
const repository = 'acme/web'

let github: GitHub | undefined
afterEach(stop)

async function stop(): Promise<void> {
  await github?.stop()
  github = undefined
}

/** Queries a test server with the given pull requests. */
async function ask(
  numbers: readonly number[],
  {
    pullRequests = new Map(),
    fault = () => undefined,
    signal = new AbortController().signal,
    ...options
  }: Partial<Parameters<typeof askGitHub>[1] & GitHubFacts> = {}
) {
  const logged: string[] = []
  await stop()
  github = await startGitHub({ token, repository, pullRequests, fault })
  const asked = await askGitHub(numbers, {
    token,
    repository,
    url: github.url,
    deadline: Date.now() + 60_000,
    signal,
    info: (text) => logged.push(text),
    pause: 1,
    ...options
  })
  return { ...asked, states: Object.fromEntries(asked.states), logged }
}

/** Fails the first attempt of every query. */
const atFirst = (fault: Fault) => (_: readonly number[], before: number) =>
  before === 0 ? fault : undefined

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)

test('the query is valid against GitHub’s published schema', () => {
  expect(problemsOfQuery(makeQuery(range(1, 100)))).toEqual([])
  expect(problemsOfQuery(makeQuery([2 ** 31]))).not.toEqual([])
})

test('merged and closed pull requests are closed, open ones open, and missing ones unknown', async () => {
  const done = await ask([1, 2, 3, 4], {
    pullRequests: new Map([
      [1, 'OPEN'],
      [2, 'CLOSED'],
      [3, 'MERGED']
    ])
  })
  expect(done.states).toEqual({
    1: 'open',
    2: 'closed',
    3: 'closed',
    4: 'unknown'
  })
  expect(done.problems).toEqual([])
  expect(github?.queries).toHaveLength(1)
})

test('250 numbers need three queries, and a failed query leaves its numbers unknown', async () => {
  const done = await ask(range(1, 250), {
    pullRequests: new Map(range(1, 250).map((number) => [number, 'CLOSED'])),
    fault: (numbers) => (numbers[0] === 101 ? faults.badGateway : undefined)
  })
  const unknown = Object.entries(done.states).filter(
    ([, state]) => state === 'unknown'
  )
  expect(unknown.map(([number]) => Number(number))).toEqual(range(101, 200))
  expect(done.problems).toEqual([
    { text: expect.stringMatching(/pull request 101 and 99 more.*502/) }
  ])
  const first = new Set(github?.queries.map(({ numbers }) => numbers[0]))
  expect([...first].sort()).toEqual([1, 101, 201])
  // Only the failed query was retried.
  expect(github?.queries).toHaveLength(6)
})

const closed: PullRequests = new Map([[7, 'CLOSED']])

test.each([
  ['a 502', faults.badGateway],
  ['"Something went wrong"', faults.somethingWentWrong],
  ['a secondary rate limit', faults.secondaryLimit],
  ['a secondary rate limit with status 429', faults.secondaryLimitOf429],
  ['a secondary rate limit with status 200', faults.secondaryLimitOf200],
  ['the hourly rate limit', primaryLimitFor(1, 'RATE_LIMITED')],
  [
    'the hourly rate limit with the newer type',
    primaryLimitFor(1, 'RATE_LIMIT')
  ]
])('after %s the query is retried', async (_, fault) => {
  const done = await ask([7], { pullRequests: closed, fault: atFirst(fault) })
  expect(done.states).toEqual({ 7: 'closed' })
  expect(done.problems).toEqual([])
  expect(github?.queries).toHaveLength(2)
})

test('waiting for a rate limit is logged', async () => {
  const fault = atFirst(faults.secondaryLimit)
  const { logged } = await ask([7], { pullRequests: closed, fault })
  expect(logged).toEqual([
    'GitHub’s secondary rate limit is reached: waiting 1 s.'
  ])
})

test.each([
  ['a rate limit beyond the deadline', faults.longSecondaryLimit, 1],
  ['the hourly rate limit', primaryLimitFor(3_000, 'RATE_LIMIT'), 1],
  ['a repeated rate limit', faults.shortSecondaryLimit, 6],
  ['a repeated 502', faults.badGateway, 4],
  ['broken JSON', faults.brokenJson, 1],
  ['unexpected JSON', faults.otherJson, 1],
  ['a response without data', faults.noData, 1]
])('%s leaves the numbers unknown', async (_, fault, tries) => {
  const done = await ask([7], { pullRequests: closed, fault: () => fault })
  expect(done.states).toEqual({ 7: 'unknown' })
  expect(done.problems).toEqual([
    {
      text: expect.stringMatching(
        /^GitHub did not report the state of pull request 7.*: ./
      )
    }
  ])
  expect(github?.queries).toHaveLength(tries)
})

test.each([
  ['does not answer', 'hang', 4],
  ['does not finish its answer', 'stall', 1]
] as const)('a server that %s is abandoned', async (_, fault, tries) => {
  const done = await ask([7], { fault: () => fault, limit: 100 })
  expect(done.states).toEqual({ 7: 'unknown' })
  expect(done.problems).toHaveLength(1)
  expect(github?.queries).toHaveLength(tries)
})

test('at the deadline neither a pending answer nor a retry is awaited', async () => {
  const fault = () => 'hang' as const
  const late = await ask([7], { fault, deadline: Date.now() + 500 })
  expect(late.states).toEqual({ 7: 'unknown' })
  const pausing = await ask([7], {
    fault: () => faults.badGateway,
    pause: 500,
    deadline: Date.now() + 200
  })
  expect(pausing.states).toEqual({ 7: 'unknown' })
  expect(pausing.problems).toEqual([
    { text: expect.stringContaining('time was up') }
  ])
})

test('cancellation ends the wait', async () => {
  const cancel = new AbortController()
  const fault = () => {
    cancel.abort()
    return 'hang' as const
  }
  const done = await ask([7], { fault, signal: cancel.signal })
  expect(done.states).toEqual({ 7: 'unknown' })
  expect(github?.queries).toHaveLength(1)
})

test.each([
  ['without a token', { token: '' }, 0],
  [
    'with an unexpanded expression as token',
    { token: '${{ github.token }}' },
    0
  ],
  ['with a wrong token', { token: 'ghs_wrong' }, 1],
  ['without permission', { fault: () => faults.notAccessible }, 1],
  ['without permission for a field', { fault: () => faults.forbidden }, 1],
  [
    'for a repository that the token cannot see',
    { repository: 'acme/other' },
    1
  ]
])(
  '%s there is no result, and one error names the permission',
  async (_, options, queries) => {
    const asked = ask([1, 2], { pullRequests: closed, ...options })
    await expect(asked).rejects.toThrow(InputError)
    await expect(asked).rejects.toThrow(/pull-requests: read.*github-token/)
    expect(github?.queries).toHaveLength(queries)
  }
)

test('without numbers neither a query nor a token is needed', async () => {
  const done = await ask([], { token: '' })
  expect(done).toMatchObject({ states: {}, problems: [] })
  // These cannot be pull request numbers; one of them would make the whole query fail.
  const odd = await ask([2 ** 31, 0], { token: '' })
  expect(odd.states).toEqual({ [2 ** 31]: 'unknown', 0: 'unknown' })
  expect(github?.queries).toEqual([])
})

test('an unreachable server leaves the numbers unknown', async () => {
  const done = await ask([7], { url: 'http://127.0.0.1:1/graphql' })
  expect(done.states).toEqual({ 7: 'unknown' })
  expect(done.problems).toEqual([
    { text: expect.stringMatching(/ECONNREFUSED|bad port/) }
  ])
})
