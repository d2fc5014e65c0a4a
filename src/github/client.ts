import { getOctokit } from '@actions/github'
import { retry } from '@octokit/plugin-retry'
import { throttling } from '@octokit/plugin-throttling'
import { z } from 'zod'

export type GitHubOptions = {
  token: string
  /** `owner/name` */
  repository: string
  /** Of the GraphQL API: `https://api.github.com/graphql`. */
  url: string
  /** No answer is waited for after this time of Date.now(). */
  deadline: number
  signal: AbortSignal
  info: (text: string) => void
  /** Milliseconds for one request. */
  limit?: number
  /** Milliseconds before the first retry. */
  pause?: number
}

type Plugin = Parameters<typeof getOctokit>[2]

/** GitHub ends a query after 10 s. */
const requestLimit = 30_000

/** GitHub blocks clients that keep asking despite a limit. */
const mostWaits = 5

const limitSchema = z.object({
  message: z.string().optional(),
  errors: z.array(z.object({ message: z.string() })).optional()
})

const silent = () => undefined

/** Makes a function that sends a query until GitHub answers, with retries and waits as time allows. */
export function createSender(
  options: GitHubOptions
): (query: string) => Promise<unknown> {
  const { token, repository, url, signal, pause = 1_000 } = options
  const [owner, name] = repository.split('/')
  const octokit = getOctokit(
    token,
    {
      // GitHub Enterprise has no GraphQL at the URL of its REST API.
      baseUrl: url.replace(/\/graphql\/?$/, ''),
      log: { debug: silent, info: silent, warn: silent, error: silent },
      retry: {
        doNotRetry: [400, 401, 403, 404, 410, 422, 429, 451],
        retryAfterBaseValue: pause
      },
      throttle: {
        onRateLimit: waiter('rate limit', options),
        onSecondaryRateLimit: waiter('secondary rate limit', options)
      }
    },
    // The first plugin is the innermost: it wraps every single request.
    requestWrapper(options),
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

export function isRateLimit(words: string): boolean {
  return /rate limit/i.test(words)
}

function waiter(what: string, { deadline, info }: GitHubOptions) {
  return (seconds: number, _: unknown, __: unknown, waits: number) => {
    const fits = Date.now() + seconds * 1_000 < deadline && waits < mostWaits
    info(
      `GitHub’s ${what} is reached: ${fits ? `waiting ${seconds} s` : `${seconds} s are too long to wait`}.`
    )
    return fits
  }
}

function requestWrapper({
  signal,
  limit = requestLimit
}: GitHubOptions): Plugin {
  return ({ hook }) => {
    hook.wrap('request', async (request, options) => {
      const late = AbortSignal.timeout(limit)
      // Octokit ignores a copy: the next hook gets this very object.
      options.request.signal = AbortSignal.any([signal, late])
      const response = await request(options)
      throwIfLimited(response)
      return response
    })
  }
}

/** GitHub also reports a limit with status 200 and a type that the plugin does not know: this error makes it wait. */
function throwIfLimited(response: {
  data: unknown
  headers: Record<string, unknown>
}): void {
  const { message, errors = [] } =
    limitSchema.safeParse(response.data).data ?? {}
  const words = [message, ...errors.map((one) => one.message)].find(
    (text) => text !== undefined && isRateLimit(text)
  )
  if (words === undefined) return
  const data = { errors: [{ type: 'RATE_LIMITED' }] }
  throw Object.assign(new Error(words), { response: { ...response, data } })
}

/** Stops waiting when the signal aborts, also during a pause between two tries. */
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
