import { InputError } from '../model/inputs.ts'
import { type Message, messages } from '../model/messages.ts'
import { largestNumber, type PullRequestState } from '../model/policy.ts'
import { createSender, type GitHubOptions, isRateLimit } from './client.ts'
import { makeQuery, readAnswer } from './query.ts'

/** The states of pull requests, and why some are unknown. */
type Asked = {
  states: Map<number, PullRequestState>
  problems: Message[]
}

const numbersPerQuery = 100

/** Characters: a proxy may answer with a whole page. */
const longestMessage = 500

/** Asks GitHub which pull requests are closed or merged. Throws an InputError without a token or its permission. */
export async function askGitHub(
  numbers: readonly number[],
  options: GitHubOptions
): Promise<Asked> {
  const states = new Map<number, PullRequestState>(
    numbers.map((number) => [number, 'unknown'])
  )
  const problems: Message[] = []
  // Any other number is no `Int` of GraphQL, and makes the whole query fail.
  const asked = numbers.filter((one) => one >= 1 && one <= largestNumber)
  if (asked.length === 0) return { states, problems }
  if (!/^[\x21-\x7e]+$/.test(options.token))
    throw new InputError(messages.tokenMissing())
  const end = new AbortController()
  const signal = AbortSignal.any([
    options.signal,
    end.signal,
    AbortSignal.timeout(Math.max(options.deadline - Date.now(), 1))
  ])
  const send = createSender({ ...options, signal })
  const ask = async (some: readonly number[]) => {
    const { found, problem } = await askFor(some, send)
    for (const [number, state] of found) states.set(number, state)
    if (problem !== undefined) problems.push(describe(some, problem))
  }
  try {
    await Promise.all(inChunks(asked).map(ask))
  } finally {
    end.abort()
  }
  return { states, problems }
}

async function askFor(
  numbers: readonly number[],
  send: (query: string) => Promise<unknown>
): Promise<ReturnType<typeof readAnswer>> {
  let answer
  try {
    answer = await send(makeQuery(numbers))
  } catch (error) {
    return { found: [], problem: messageOf(error) }
  }
  const read = readAnswer(answer, numbers)
  if (read.refusal !== undefined) throw noPermission(read.refusal)
  return read
}

function inChunks(numbers: readonly number[]): number[][] {
  return Array.from(
    { length: Math.ceil(numbers.length / numbersPerQuery) },
    (_, index) =>
      numbers.slice(index * numbersPerQuery, (index + 1) * numbersPerQuery)
  )
}

function describe(numbers: readonly number[], problem: string): Message {
  const [first = 0] = numbers
  const more = numbers.length > 1 ? ` and ${numbers.length - 1} more` : ''
  return messages.pullRequestsUnknown(`${first}${more}`, problem)
}

/** Throws an InputError if GitHub refuses access. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const words = message.trim().slice(0, longestMessage)
  const status = error instanceof Error && 'status' in error && error.status
  if (status === 401 || (status === 403 && !isRateLimit(message)))
    throw noPermission(words)
  return words
}

function noPermission(words: string): InputError {
  return new InputError(messages.tokenRefused(words))
}
