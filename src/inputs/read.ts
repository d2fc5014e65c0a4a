import {
  defaults,
  InputError,
  type InputName,
  inputNames,
  type InputTexts
} from '../model/inputs.ts'
import { messages } from '../model/messages.ts'
import type { Policy, Scope } from '../model/policy.ts'
import type { Rule } from '../model/rules.ts'
import type { PullRequestOfEvent } from './event.ts'
import { problemOfTime } from './parsers.ts'
import { expandHostName, expandPaths, problemsOfPaths } from './paths.ts'
import {
  describeProblems,
  type Problem,
  problemsOfVariables
} from './problems.ts'
import { problemsOfPressure } from './pressure.ts'
import { parseRules } from './rules.ts'
import { type Inputs, schema } from './schema.ts'
import {
  type GitHubAccess,
  githubOptions,
  ignoredInputs,
  makeScope,
  problemsOfScope
} from './scope.ts'

/** The inputs that are not part of the policy. Durations in milliseconds. */
export type Options = {
  dryRun: boolean
  timeout: number
  /** Docker processes at once. */
  concurrency: number
  /** The Docker CLI: a name on PATH, or a path. */
  docker: string
  /** The folder of the ledgers; empty for none. */
  stateDir: string
  reportFile: string
  /** When to write the job summary. */
  jobSummary: Inputs['job-summary']
  /** The name of this host in the report. */
  hostName: string
  /** Undefined where no state of a pull request is needed. */
  github: GitHubAccess | undefined
}

/**
 * Reads and checks all inputs. Throws an InputError that names each invalid one, its text and the valid form. `now`
 * (milliseconds since 1970) is the latest time for `until`.
 */
export function readInputs(
  getInput: (name: string) => string | undefined,
  {
    now,
    env,
    event = { problem: 'this run has no event' }
  }: { now: number; env: NodeJS.ProcessEnv; event?: PullRequestOfEvent }
): { policy: Policy; options: Options; texts: InputTexts } {
  const texts = readTexts(getInput)
  const paths = expandPaths(texts, env)
  const { data: inputs, error } = schema.safeParse(texts)
  const issues = error?.issues ?? []
  const { rules, problems: ofRules } = parseRules(texts.rules, now)
  const problems = [
    ...issues.map(({ path, message }): Problem => [String(path[0]), message]),
    ...problemsOfUntil(texts, now),
    ...ofRules,
    ...problemsOfPressure(texts),
    ...problemsOfScope(texts, env, event),
    ...problemsOfVariables(env),
    ...problemsOfPaths(texts, paths)
  ]
  if (inputs === undefined || problems.length > 0)
    throw new InputError(
      messages.invalidInput(describeProblems(problems, texts))
    )
  return {
    policy: makePolicy(inputs, texts, makeScope(inputs, env, event), rules),
    options: {
      dryRun: inputs['dry-run'],
      timeout: inputs.timeout,
      concurrency: inputs.concurrency,
      docker: inputs.docker,
      ...paths,
      jobSummary: inputs['job-summary'],
      hostName: expandHostName(inputs['host-name'], env),
      github: githubOptions(inputs, env)
    },
    texts
  }
}

/** An empty input is treated as unset, except where empty has a meaning of its own. */
function readTexts(getInput: (name: string) => string | undefined): InputTexts {
  const mayBeEmpty: InputName[] = ['state-dir', 'github-token', 'host-name']
  const texts: InputTexts = { ...defaults }
  for (const name of inputNames) {
    const text = getInput(name)
    if (text || (text === '' && mayBeEmpty.includes(name))) texts[name] = text
  }
  return texts
}

function problemsOfUntil({ until }: InputTexts, now: number): Problem[] {
  const problem = problemOfTime(until, now)
  return problem === undefined ? [] : [['until', problem]]
}

function makePolicy(
  inputs: Inputs,
  texts: InputTexts,
  scope: Scope,
  rules: readonly Rule[]
): Policy {
  const given = <T>(value: T | 'any') => (value === 'any' ? undefined : value)
  const ignored = ignoredInputs(scope, texts)
  return {
    scope,
    ignored,
    keepLast: ignored.includes('keep-last') ? 0 : inputs['keep-last'],
    until: ignored.includes('until') ? { duration: 0 } : inputs.until,
    ageFrom: inputs['age-from'],
    rules,
    protectedLabels: inputs['protected-labels'],
    protectedImages: inputs['protected-images'],
    includeContainers: inputs['include-containers'],
    includeImages: inputs['include-images'],
    includeNetworks: inputs['include-networks'],
    includeVolumes: inputs['include-volumes'],
    includeBuilders: inputs['include-builders'],
    includeBuildCache: inputs['include-build-cache'],
    buildCacheKeep: inputs['build-cache-keep'],
    whenFreeBelow: given(inputs['when-free-below']),
    untilFreeAbove: given(inputs['until-free-above']),
    maxRemovals: given(inputs['max-removals'])
  }
}
