import { once } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage
} from 'node:http'
import { json } from 'node:stream/consumers'
import { schema as published } from '@octokit/graphql-schema'
import {
  buildClientSchema,
  execute,
  GraphQLError,
  parse,
  validate,
  type ExecutionResult,
  type IntrospectionQuery
} from 'graphql'

const schema = buildClientSchema(published.json as IntrospectionQuery)

/** Validates a query against GitHub's schema; returns the errors. */
export function problemsOfQuery(query: string): string[] {
  return validate(schema, parse(query)).map(({ message }) => message)
}

export type Query = {
  path: string
  numbers: number[]
  headers: IncomingHttpHeaders
}

/** A faulty response. `hang` never answers; `stall` sends only the start of a response. */
export type Fault =
  | 'hang'
  | 'stall'
  | { status?: number; headers?: Record<string, string>; body: string }

export type GitHub = {
  /** For GITHUB_GRAPHQL_URL. */
  url: string
  queries: Query[]
  stop: () => Promise<void>
}

export type PullRequests = ReadonlyMap<number, 'OPEN' | 'CLOSED' | 'MERGED'>

export type GitHubFacts = {
  token: string
  repository: string
  pullRequests: PullRequests
  /** Overrides the response to a query; `before` counts earlier queries for the same numbers. */
  fault?: (numbers: readonly number[], before: number) => Fault | undefined
}

/** Starts a local server that answers GraphQL queries as GitHub does, for one token and one repository. */
export async function startGitHub({
  token,
  repository,
  pullRequests,
  fault = () => undefined
}: GitHubFacts): Promise<GitHub> {
  const queries: Query[] = []
  const answer = async (request: IncomingMessage): Promise<Fault> => {
    const { query, variables } = (await json(request)) as {
      query: string
      variables: Record<string, string>
    }
    const numbers = [...query.matchAll(/number: (\d+)/g)].map(([, digits]) =>
      Number(digits)
    )
    const before = queries.filter((one) => one.numbers[0] === numbers[0]).length
    const { method, url: path = '', headers } = request
    queries.push({ path, numbers, headers })
    if (method !== 'POST' || !/^(?:\/api)?\/graphql$/.test(path))
      return refusal(404, 'Not Found')
    if (headers.authorization !== `token ${token}`)
      return refusal(401, 'Bad credentials')
    const facts = { repository, pullRequests }
    const result = () => answerQuery(query, variables, facts)
    return fault(numbers, before) ?? { body: JSON.stringify(await result()) }
  }
  const server = createServer((request, response) => {
    answer(request).then(
      (reply) => {
        if (reply === 'hang') return
        if (reply === 'stall') {
          response.writeHead(200, usualHeaders()).write('{"data":')
          return
        }
        const { status = 200, headers, body } = reply
        response.writeHead(status, { ...usualHeaders(), ...headers })
        response.end(body)
      },
      () => response.destroy()
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  return {
    url: `http://127.0.0.1:${port}/graphql`,
    queries,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }
}

function usualHeaders(): Record<string, string> {
  return {
    'content-type': 'application/json; charset=utf-8',
    'x-ratelimit-limit': '1000',
    'x-ratelimit-remaining': '990',
    'x-ratelimit-reset': inSeconds(3_600),
    'x-ratelimit-resource': 'graphql'
  }
}

async function answerQuery(
  query: string,
  variables: Record<string, string>,
  {
    repository,
    pullRequests
  }: { repository: string; pullRequests: PullRequests }
): Promise<object> {
  const document = parse(query)
  const problems = validate(schema, document)
  if (problems.length > 0) return { errors: problems.map(describe) }
  const notFound = (message: string) =>
    new GraphQLError(message, { extensions: { type: 'NOT_FOUND' } })
  const pullRequest = ({ number }: { number: number }) => {
    const state = pullRequests.get(number)
    if (state === undefined)
      throw notFound(
        `Could not resolve to a PullRequest with the number of ${number}.`
      )
    return { state }
  }
  const rootValue = {
    repository: ({ owner, name }: { owner: string; name: string }) => {
      if (`${owner}/${name}` !== repository)
        throw notFound(
          `Could not resolve to a Repository with the name '${owner}/${name}'.`
        )
      return { pullRequest }
    }
  }
  const { data, errors }: ExecutionResult = await execute({
    schema,
    document,
    rootValue,
    variableValues: variables
  })
  return { data, ...(errors && { errors: errors.map(describe) }) }
}

/** GitHub puts the error type next to the message. */
function describe({ message, path, locations, extensions }: GraphQLError) {
  return { ...extensions, path, locations, message }
}

function inSeconds(seconds: number): string {
  return String(Math.floor(Date.now() / 1_000) + seconds)
}

function refusal(
  status: number,
  message: string,
  headers: Record<string, string> = {}
): Exclude<Fault, string> {
  const documentation_url = 'https://docs.github.com/graphql'
  const body = { message, documentation_url, status: String(status) }
  return { status, headers, body: JSON.stringify(body) }
}

const secondaryLimit =
  'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.'
const primaryLimit = 'API rate limit already exceeded for user ID 1.'

/** Failures seen from GitHub or its load balancers. */
export const faults = {
  badGateway: {
    status: 502,
    headers: { 'content-type': 'text/html' },
    body: '<html><title>502 Bad Gateway</title></html>'
  },
  somethingWentWrong: {
    body: JSON.stringify({
      data: null,
      errors: [
        {
          message:
            'Something went wrong while executing your query. This may be the result of a timeout, or it could be a GitHub bug.'
        }
      ]
    })
  },
  brokenJson: { body: '{"data":{"repository":{"pr1":{"sta' },
  otherJson: { body: '[]' },
  noData: { body: '{"data":{"repository":null}}' },
  notAccessible: refusal(403, 'Resource not accessible by integration'),
  forbidden: {
    body: JSON.stringify({
      data: { repository: { pr1: null } },
      errors: [
        {
          type: 'FORBIDDEN',
          path: ['repository', 'pr1'],
          extensions: { saml_failure: false },
          locations: [{ line: 3, column: 1 }],
          message: 'Resource not accessible by integration'
        }
      ]
    })
  },
  secondaryLimit: refusal(403, secondaryLimit, { 'retry-after': '1' }),
  secondaryLimitOf429: refusal(429, secondaryLimit, { 'retry-after': '1' }),
  secondaryLimitOf200: {
    headers: { 'retry-after': '1' },
    body: JSON.stringify({ message: secondaryLimit })
  },
  shortSecondaryLimit: refusal(403, secondaryLimit, { 'retry-after': '0.01' }),
  longSecondaryLimit: refusal(403, secondaryLimit, { 'retry-after': '3600' })
} satisfies Record<string, Fault>

/** GitHub's hourly rate limit, which resets after the given number of seconds. */
export function primaryLimitFor(
  seconds: number,
  type: 'RATE_LIMIT' | 'RATE_LIMITED'
): Fault {
  return {
    headers: {
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': inSeconds(seconds)
    },
    body: JSON.stringify({
      errors: [{ type, code: 'graphql_rate_limit', message: primaryLimit }]
    })
  }
}
