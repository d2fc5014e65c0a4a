import { getOctokit } from '@actions/github'
import { retry } from '@octokit/plugin-retry'
import { throttling } from '@octokit/plugin-throttling'
import { z } from 'zod'
import { InputError } from '../model/inputs.ts'
import { largestNumber, type PullRequestState } from '../model/policy.ts'

/** What GitHub told, and what it did not tell of some numbers, in words. */
export type Asked = {
  states: Map<number, PullRequestState>
  problems: string[]
}

const numbersPerQuery = 100

/** GitHub itself gives up a query after 10 s. */
const requestLimit = 30_000

/** Times that the same limit is waited for: whoever goes on asking is shut out. */
const mostWaits = 5

const stateOf: Record<string, PullRequestState> = {
  OPEN: 'open',
  CLOSED: 'closed',
  MERGED: 'closed'
}

/** The query for some pull requests of a repository. */
export function makeQuery(numbers: readonly number[]): string {
  const fields = numbers.map(
    (number) => `${alias(number)}: pullRequest(number: ${number}) { state }`
  )
  return [
    'query ($owner: String!, $name: String!) {',
    'repository(owner: $owner, name: $name) {',
    ...fields,
    '} }'
  ].join('\n')
}

function alias(number: number): string {
  return `pr${number}`
}

/**
 * Asks GitHub which pull requests of a repository (`owner/name`) are closed, merged ones included. What it does not
 * know, or does not answer in time, is unknown. Throws an InputError where it may not be asked: without a token, or
 * without the permission to read pull requests.
 */
export async function askGitHub(
  numbers: readonly number[],
  options: {
    token: string
    repository: string
    /** Where GitHub takes queries: `https://api.github.com/graphql`. */
    url: string
    /** Milliseconds, as Date.now() counts, after which nobody waits for an answer any more. */
    deadline: number
    signal: AbortSignal
    info: (text: string) => void
    /** Milliseconds that one request may take, and those before it is sent for a second time. */
    limit?: number
    pause?: number
  }
): Promise<Asked> {
  const states = new Map(numbers.map((number) => [number, unknown]))
  const problems: string[] = []
  // Another number is no `Int` of GraphQL: the whole query would be refused.
  const asked = numbers.filter((one) => one >= 1 && one <= largestNumber)
  if (asked.length === 0) return { states, problems }
  if (!/^[\x21-\x7e]+$/.test(options.token))
    throw new InputError(`There is no token to ask GitHub with. ${advice}`)
  const end = new AbortController()
  const signal = AbortSignal.any([
    options.signal,
    end.signal,
    AbortSignal.timeout(Math.max(options.deadline - Date.now(), 1))
  ])
  const send = createSender({ ...options, signal })
  const ask = async (some: readonly number[]) => {
    try {
      const { found, problem } = readAnswer(await send(makeQuery(some)), some)
      for (const [number, state] of found) states.set(number, state)
      if (problem !== undefined) problems.push(describe(some, problem))
    } catch (error) {
      problems.push(describe(some, wordsOf(error)))
    }
  }
  try {
    await Promise.all(inChunks(asked).map(ask))
  } finally {
    end.abort()
  }
  return { states, problems }
}

const unknown: PullRequestState = 'unknown'

const advice =
  'Give the job "permissions: pull-requests: read", and the input github-token a token that has it.'

function inChunks(numbers: readonly number[]): number[][] {
  return Array.from(
    { length: Math.ceil(numbers.length / numbersPerQuery) },
    (_, index) =>
      numbers.slice(index * numbersPerQuery, (index + 1) * numbersPerQuery)
  )
}

function describe(numbers: readonly number[], problem: string): string {
  const [first = 0] = numbers
  const more = numbers.length > 1 ? ` and ${numbers.length - 1} more` : ''
  return `GitHub did not tell of pull request ${first}${more}, so that what belongs to them stays: ${problem}`
}

/** Makes the sender of queries: what GitHub answers to one, after as many tries and waits as the time allows. */
function createSender({
  token,
  repository,
  url,
  deadline,
  signal,
  info,
  limit = requestLimit,
  pause = 1_000
}: Parameters<typeof askGitHub>[1]): (query: string) => Promise<unknown> {
  const [owner, name] = repository.split('/')
  const wait = (seconds: number, what: string, waits: number) => {
    const fits = Date.now() + seconds * 1_000 < deadline && waits < mostWaits
    info(
      `GitHub’s ${what} is reached: ${fits ? `waiting ${seconds} s` : `${seconds} s are too long to wait`}.`
    )
    return fits
  }
  const silent = () => undefined
  const octokit = getOctokit(
    token,
    {
      // Not of the API: GitHub Enterprise has its queries elsewhere.
      baseUrl: url.replace(/\/graphql\/?$/, ''),
      log: { debug: silent, info: silent, warn: silent, error: silent },
      retry: {
        doNotRetry: [400, 401, 403, 404, 410, 422, 429, 451],
        retryAfterBaseValue: pause
      },
      throttle: {
        onRateLimit: (seconds, _, __, waits) =>
          wait(seconds, 'rate limit', waits),
        onSecondaryRateLimit: (seconds, _, __, waits) =>
          wait(seconds, 'secondary rate limit', waits)
      }
    },
    // Inside the other two: it sees every single request.
    ({ hook }) => {
      hook.wrap('request', async (request, options) => {
        const late = AbortSignal.timeout(limit)
        // Octokit gives the next hook these options, whatever this one passes on.
        options.request.signal = AbortSignal.any([signal, late])
        const response = await request(options)
        throwIfLimited(response)
        return response
      })
    },
    retry,
    throttling
  )
  return async (query) => {
    const variables = { owner, name }
    const sent = octokit.request('POST /graphql', { query, variables })
    const response: { data: unknown } = await orAborted(sent, signal)
    return response.data
  }
}

/** Ends the wait for something that itself does not end when the signal aborts, as a pause between two tries. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reject(new Error('the time was up'))
    }
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort)
    work.then(resolve, reject)
  })
}

const limitSchema = z.object({
  message: z.string().optional(),
  errors: z.array(z.object({ message: z.string() })).optional()
})

/**
 * GitHub tells of a limit in an answer of status 200, too, and in other words than the plugin knows that waits for it
 * (`RATE_LIMIT`): it then waits as for those of another status.
 */
function throwIfLimited(response: {
  data: unknown
  headers: Record<string, unknown>
}): void {
  const { message, errors = [] } =
    limitSchema.safeParse(response.data).data ?? {}
  const words = [message, ...errors.map((one) => one.message)].find(
    (text) => text !== undefined && isLimit(text)
  )
  if (words === undefined) return
  const data = { errors: [{ type: 'RATE_LIMITED' }] }
  throw Object.assign(new Error(words), { response: { ...response, data } })
}

const answerSchema = z.object({
  data: z
    .object({
      repository: z
        .record(z.string(), z.object({ state: z.string() }).nullable())
        .nullable()
    })
    .nullish(),
  errors: z
    .array(
      z.object({
        type: z.string().optional(),
        message: z.string(),
        path: z.array(z.union([z.string(), z.number()])).optional()
      })
    )
    .optional()
})

/** Reads what GitHub answers to a query for some numbers; throws an InputError where it says that it may not tell. */
function readAnswer(
  answer: unknown,
  numbers: readonly number[]
): { found: Map<number, PullRequestState>; problem: string | undefined } {
  const read = answerSchema.safeParse(answer)
  if (!read.success)
    return { found: new Map(), problem: 'its answer could not be read' }
  const { data, errors = [] } = read.data
  const refused = errors.find(
    ({ type, path = [] }) =>
      type === 'FORBIDDEN' ||
      type === 'INSUFFICIENT_SCOPES' ||
      (type === 'NOT_FOUND' && path.length === 1)
  )
  if (refused !== undefined) throw noPermission(refused.message)
  const repository = data?.repository ?? {}
  const told = data?.repository
    ? undefined
    : 'it told nothing of the repository'
  const found = numbers.flatMap((number) => {
    const state = stateOf[repository[alias(number)]?.state ?? '']
    return state === undefined ? [] : [[number, state] as const]
  })
  // A number that nobody knows is no problem: it may be an issue's.
  const problem = errors.find(({ type }) => type !== 'NOT_FOUND')?.message
  return { found: new Map(found), problem: problem ?? told }
}

/** Why there is no answer; throws an InputError where GitHub refuses to give any. */
function wordsOf(error: unknown): string {
  if (error instanceof InputError) throw error
  const message = error instanceof Error ? error.message : String(error)
  const words = message.trim().slice(0, longestWords)
  const status = error instanceof Error && 'status' in error && error.status
  if (status === 401 || (status === 403 && !isLimit(message)))
    throw noPermission(words)
  return words
}

/** Characters: a proxy in between may answer with a whole page. */
const longestWords = 500

function isLimit(words: string): boolean {
  return /rate limit/i.test(words)
}

function noPermission(words: string): InputError {
  return new InputError(
    `GitHub does not let this job read its pull requests. ${advice}\n${words}`
  )
}
