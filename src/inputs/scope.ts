import { z } from 'zod'
import type { PullRequestOfEvent } from './event.ts'
import type { schema } from './schema.ts'
import { defaults, type InputName, type InputTexts } from '../model/inputs.ts'
import type { Scope } from '../model/policy.ts'

/** What the inputs of the scopes lack, or have too much. */
export function problemsOfScope(
  texts: InputTexts,
  env: Record<string, string | undefined>,
  event: PullRequestOfEvent
): [InputName, string][] {
  const scope = texts.scope.toLowerCase()
  const given = texts['pull-request'] !== ''
  const problems: [InputName, string][] = []
  if (given && scope !== 'pull-request')
    problems.push(['pull-request', 'it takes scope: pull-request'])
  if (!given && scope === 'pull-request' && 'problem' in event)
    problems.push([
      'pull-request',
      `it takes the number of a pull request, as none is known: ${event.problem}`
    ])
  if (scope !== 'pull-request' && scope !== 'closed-pull-requests')
    return problems
  if (texts['pull-request-patterns'].split(/[\s,]/).join('') === '')
    problems.push(['pull-request-patterns', 'it takes one pattern at least'])
  if (!/^[\w.-]+\/[\w.-]+$/.test(env['GITHUB_REPOSITORY'] ?? ''))
    problems.push([
      'scope',
      'it takes a GITHUB_REPOSITORY such as acme/web, which tells whose pull requests are meant'
    ])
  // Outside a workflow nobody puts a token in for the default; a secret that is not set is empty.
  if (
    scope === 'closed-pull-requests' &&
    ['', defaults['github-token']].includes(texts['github-token'])
  )
    problems.push([
      'github-token',
      'it takes a token with the permission pull-requests: read (a secret that is not set is empty)'
    ])
  return problems
}

export function makeScope(
  inputs: z.output<typeof schema>,
  env: Record<string, string | undefined>,
  event: PullRequestOfEvent
): Scope {
  if (inputs.scope === 'engine') return { kind: 'engine' }
  if (inputs.scope === 'job') return { kind: 'job', before: undefined }
  const ofEvent = 'number' in event ? event.number : 0
  const number = inputs['pull-request'] || ofEvent
  return {
    kind: 'pull-request',
    repository: env['GITHUB_REPOSITORY'] ?? '',
    numbers:
      inputs.scope === 'pull-request'
        ? // Whoever runs this has done with it.
          new Map([[number, 'closed']])
        : new Map(),
    patterns: inputs['pull-request-patterns']
  }
}

/** The runner passes a default of action.yml as if somebody had written it: these two count only with another text. */
export function ignoredInputs(scope: Scope, texts: InputTexts): InputName[] {
  if (scope.kind === 'engine') return []
  return (['keep-last', 'until'] as const).filter(
    (name) => texts[name] === defaults[name]
  )
}

/** The token and the URL of the GraphQL API. */
export type GitHubAccess = { token: string; url: string }

/** GitHub Enterprise has an address of its own. */
export function githubOptions(
  inputs: z.output<typeof schema>,
  env: Record<string, string | undefined>
): GitHubAccess | undefined {
  if (inputs.scope !== 'closed-pull-requests') return undefined
  const url = env['GITHUB_GRAPHQL_URL'] || 'https://api.github.com/graphql'
  return { token: inputs['github-token'], url }
}
