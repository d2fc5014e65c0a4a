import { defaults, type InputName, type InputTexts } from '../model/inputs.ts'
import type { Scope } from '../model/policy.ts'
import type { PullRequestOfEvent } from './event.ts'
import type { Problem } from './problems.ts'
import type { Inputs } from './schema.ts'

/** Finds inputs that the scope needs and lacks, and one that needs another scope. */
export function problemsOfScope(
  texts: InputTexts,
  env: NodeJS.ProcessEnv,
  event: PullRequestOfEvent
): Problem[] {
  const scope = texts.scope.toLowerCase()
  const given = texts['pull-request'] !== ''
  const problems: Problem[] = []
  if (given && scope !== 'pull-request')
    problems.push(['pull-request', 'only allowed with scope: pull-request'])
  if (!given && scope === 'pull-request' && 'problem' in event)
    problems.push([
      'pull-request',
      `set a pull request number: ${event.problem}`
    ])
  if (scope !== 'pull-request' && scope !== 'closed-pull-requests')
    return problems
  if (texts['pull-request-patterns'].split(/[\s,]/).join('') === '')
    problems.push(['pull-request-patterns', 'expected at least one pattern'])
  if (!/^[\w.-]+\/[\w.-]+$/.test(env['GITHUB_REPOSITORY'] ?? ''))
    problems.push([
      'scope',
      'requires the variable GITHUB_REPOSITORY, such as acme/web, to know whose pull requests to look for'
    ])
  // Outside a workflow the default stays an expression; an unset secret is empty.
  if (
    scope === 'closed-pull-requests' &&
    ['', defaults['github-token']].includes(texts['github-token'])
  )
    problems.push([
      'github-token',
      'requires a token with the permission pull-requests: read (an unset secret is empty)'
    ])
  return problems
}

export function makeScope(
  inputs: Inputs,
  env: NodeJS.ProcessEnv,
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
        ? // The workflow is done with it, whatever its state on GitHub.
          new Map([[number, 'closed']])
        : new Map(),
    patterns: inputs['pull-request-patterns']
  }
}

/** The runner passes a default of action.yml as if it had been set, so a scope ignores these two at their defaults. */
export function ignoredInputs(scope: Scope, texts: InputTexts): InputName[] {
  if (scope.kind === 'engine') return []
  return (['keep-last', 'until'] as const).filter(
    (name) => texts[name] === defaults[name]
  )
}

/** The token and the URL of the GraphQL API. */
export type GitHubAccess = { token: string; url: string }

export function githubOptions(
  inputs: Inputs,
  env: NodeJS.ProcessEnv
): GitHubAccess | undefined {
  if (inputs.scope !== 'closed-pull-requests') return undefined
  // GitHub Enterprise Server has its own URL.
  const url = env['GITHUB_GRAPHQL_URL'] || 'https://api.github.com/graphql'
  return { token: inputs['github-token'], url }
}
