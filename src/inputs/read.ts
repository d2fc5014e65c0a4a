import { tmpdir } from 'node:os'
import type { PullRequestOfEvent } from './event.ts'
import { quote } from './parsers.ts'
import { expand, isWithin, userState } from './paths.ts'
import { schema } from './schema.ts'
import {
  githubOptions,
  ignoredInputs,
  makeScope,
  problemsOfScope,
  type GitHubAccess
} from './scope.ts'
import {
  defaults,
  InputError,
  inputNames,
  type InputTexts,
  variableOf
} from '../model/inputs.ts'
import type { Policy } from '../model/policy.ts'
import { longestDuration, parseTime } from '../units.ts'

/** What the inputs ask for beside the policy. Durations in milliseconds. */
export type Options = {
  dryRun: boolean
  timeout: number
  /** Docker processes at once. */
  concurrency: number
  /** The CLI to call: a name on PATH, or a path. */
  docker: string
  /** The folder of the ledgers; empty for none. */
  stateDir: string
  reportFile: string
  /** How to ask GitHub which pull requests are closed; undefined where nobody has to know. */
  github: GitHubAccess | undefined
}

/**
 * Reads all inputs; an empty one counts as not given, but for `state-dir` and `github-token`. Throws an InputError that
 * names every bad one, the value it got and what it takes. `now` (milliseconds since 1970) tells whether a time of
 * `until` can be.
 */
export function readInputs(
  getInput: (name: string) => string | undefined,
  {
    now,
    env,
    event = { problem: 'there is no event' }
  }: {
    now: number
    env: Record<string, string | undefined>
    event?: PullRequestOfEvent
  }
): { policy: Policy; options: Options; texts: InputTexts } {
  const texts: InputTexts = { ...defaults }
  for (const name of inputNames) texts[name] = getInput(name) || defaults[name]
  for (const name of ['state-dir', 'github-token'] as const)
    texts[name] = getInput(name) ?? defaults[name]
  const result = schema.safeParse(texts)
  const problems = (result.error?.issues ?? []).map(
    ({ path, message }) => [String(path[0]), message] as const
  )
  const time = parseTime(texts.until)
  if (time !== undefined && (time > now || now - time >= longestDuration))
    problems.push(['until', 'it takes a time in the past 292 years'])
  problems.push(...problemsOfScope(texts, env, event))
  problems.push(...problemsOfNames(env))
  const folders = {
    RUNNER_TOOL_CACHE: env['RUNNER_TOOL_CACHE'] || userState(env),
    RUNNER_TEMP: env['RUNNER_TEMP'] || tmpdir()
  }
  const paths = {
    stateDir: expand(texts['state-dir'], folders),
    reportFile: expand(texts['report-file'], folders)
  }
  for (const [name, path] of [
    ['state-dir', paths.stateDir],
    ['report-file', paths.reportFile]
  ] as const)
    if (/^[$~]/.test(path))
      problems.push([
        name,
        'it takes a path; no shell reads it, and at its start $RUNNER_TOOL_CACHE and $RUNNER_TEMP alone are known'
      ])
  if (paths.stateDir !== '' && isWithin(paths.stateDir, paths.reportFile))
    problems.push([
      'report-file',
      `it takes no path on that of state-dir, ${quote(texts['state-dir'])}: that is a folder`
    ])
  if (!result.success || problems.length > 0)
    throw new InputError(describeProblems(problems, texts))

  const inputs = result.data
  const scope = makeScope(inputs, env, event)
  const ignored = ignoredInputs(scope, texts)
  return {
    policy: {
      scope,
      ignored,
      keepLast: ignored.includes('keep-last') ? 0 : inputs['keep-last'],
      until: ignored.includes('until') ? { duration: 0 } : inputs.until,
      ageFrom: inputs['age-from'],
      protectedLabels: inputs['protected-labels'],
      protectedImages: inputs['protected-images'],
      includeContainers: inputs['include-containers'],
      includeImages: inputs['include-images'],
      includeNetworks: inputs['include-networks'],
      includeVolumes: inputs['include-volumes'],
      includeBuilders: inputs['include-builders'],
      includeBuildCache: inputs['include-build-cache'],
      buildCacheKeep: inputs['build-cache-keep']
    },
    options: {
      dryRun: inputs['dry-run'],
      timeout: inputs.timeout,
      concurrency: inputs.concurrency,
      docker: inputs.docker,
      ...paths,
      github: githubOptions(inputs, env)
    },
    texts
  }
}

/**
 * Variables that only mean to be an input: the runner passes on what somebody wrote in whatever way, with no more than
 * a warning, and `dry_run` would remove everything.
 */
function problemsOfNames(
  env: Record<string, string | undefined>
): [string, string][] {
  const plain = (name: string) => name.toUpperCase().replaceAll(/[-_ ]/g, '')
  const known = new Map(
    inputNames.map((name) => [plain(`INPUT_${name}`), name])
  )
  return Object.keys(env).flatMap((variable) => {
    const name = env[variable] ? known.get(plain(variable)) : undefined
    return name === undefined || variable === variableOf(name)
      ? []
      : [[variable, `the input is ${name}, its variable ${variableOf(name)}`]]
  })
}

function describeProblems(
  problems: readonly (readonly [string, string])[],
  texts: Record<string, string | undefined>
): string {
  const lines = problems.map(([name, problem]) => {
    const text = texts[name]
    // What is no input may be meant for a secret one.
    const got = text === undefined ? '' : `got ${quote(text)}; `
    return `${name}: ${got}${problem}.`
  })
  const count = new Set(problems.map(([name]) => name)).size
  const what = count === 1 ? 'An input is' : `${count} inputs are`
  return [
    `${what} not valid. Nothing was looked at or removed.`,
    ...lines
  ].join('\n')
}
