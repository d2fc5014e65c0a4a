import { z } from 'zod'
import type { PullRequestState } from '../model/policy.ts'

type Answer = {
  found: (readonly [number, PullRequestState])[]
  /** Why some states are missing. */
  problem?: string | undefined
  refusal?: string
}

const stateOf: Record<string, PullRequestState> = {
  OPEN: 'open',
  CLOSED: 'closed',
  MERGED: 'closed'
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

/** A GraphQL query for the states of pull requests. */
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

export function readAnswer(
  answer: unknown,
  numbers: readonly number[]
): Answer {
  const read = answerSchema.safeParse(answer)
  if (!read.success)
    return { found: [], problem: 'its answer could not be read' }
  const { data, errors = [] } = read.data
  const refused = errors.find(
    ({ type, path = [] }) =>
      type === 'FORBIDDEN' ||
      type === 'INSUFFICIENT_SCOPES' ||
      (type === 'NOT_FOUND' && path.length === 1)
  )
  if (refused !== undefined) return { found: [], refusal: refused.message }
  const repository = data?.repository ?? {}
  const missing = data?.repository
    ? undefined
    : 'its answer lacks the repository'
  const found = numbers.flatMap((number) => {
    const state = stateOf[repository[alias(number)]?.state ?? '']
    return state === undefined ? [] : [[number, state] as const]
  })
  // A number that is not found may be that of an issue.
  const problem = errors.find(({ type }) => type !== 'NOT_FOUND')?.message
  return { found, problem: problem ?? missing }
}

function alias(number: number): string {
  return `pr${number}`
}
