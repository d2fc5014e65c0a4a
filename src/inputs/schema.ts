import { homedir, tmpdir } from 'node:os'
import { isAbsolute, join, relative } from 'node:path'
import { z } from 'zod'
import { parseLabelPattern, problemOfGlob } from '../model/patterns.ts'
import type { Policy } from '../model/policy.ts'
import {
  largestNumber,
  problemOfPattern
} from '../policy/scope/pullRequests.ts'
import type { Scope } from '../policy/scope/scope.ts'
import type { PullRequestOfEvent } from './event.ts'
import {
  longestDuration,
  parseDuration,
  parseSize,
  parseTime
} from '../units.ts'

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
  github: { token: string; url: string } | undefined
}

/** The default of every input, as in action.yml. */
export const defaults = {
  'keep-last': '3',
  until: '24h',
  'age-from': 'last-used',
  'protected-labels': 'keep',
  'protected-images': '',
  'include-containers': 'true',
  'include-images': 'true',
  'include-networks': 'true',
  'include-volumes': 'false',
  'include-builders': 'false',
  'include-build-cache': 'true',
  'build-cache-keep': '',
  scope: 'engine',
  'pull-request': '',
  'pull-request-patterns': 'pr-{number}, pr-{number}-*, *-pr-{number}',
  'github-token': '${{ github.token }}',
  'dry-run': 'false',
  timeout: '15m',
  concurrency: '4',
  docker: 'docker',
  'state-dir': '$RUNNER_TOOL_CACHE/docker-reclaim',
  'report-file': '$RUNNER_TEMP/docker-reclaim/report.json'
}

export type InputName = keyof typeof defaults

/** Reads one input: what it takes, and how its text becomes a value or undefined. */
function input<T>(takes: string, parse: (text: string) => T | undefined) {
  return z.string().transform((text, context) => {
    const value = parse(text)
    if (value !== undefined) return value
    context.addIssue({ code: 'custom', message: `it takes ${takes}` })
    return z.NEVER
  })
}

/** Reads one item a line, or with commas between them; says which items are bad and why. */
function listInput<T>(
  takes: string,
  parse: (item: string) => { value: T } | { problem: string }
) {
  return z.string().transform((text, context) => {
    const items = text.split(/[\n,]/).map((item) => item.trim())
    const bad: string[] = []
    const values = items.filter(Boolean).flatMap((item) => {
      const parsed = parse(item)
      if ('value' in parsed) return [parsed.value]
      bad.push(`${quote(item)} (${parsed.problem})`)
      return []
    })
    const shown = bad.slice(0, mostItems)
    if (bad.length > mostItems) shown.push(`${bad.length - mostItems} more`)
    if (bad.length > 0)
      context.addIssue({
        code: 'custom',
        message: `it takes ${takes}, not ${shown.join(', ')}`
      })
    return values
  })
}

/** Bad items of a list that are shown. */
const mostItems = 10

/** A value for a message: the start of it, where it is long. */
function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)
}

function choiceInput<const T>(choices: Record<string, T>) {
  return input(orList(Object.keys(choices)), (text) =>
    Object.hasOwn(choices, text.toLowerCase())
      ? choices[text.toLowerCase()]
      : undefined
  )
}

function orList(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`
}

const yesOrNo = { true: true, false: false }

function wholeNumber(least: number, most: number) {
  return (text: string) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN
    return value >= least && value <= most ? value : undefined
  }
}

const longestTimeout = 24 * 86_400_000

/** Every input, under its public name: type and check. */
export const schema = z.object({
  'keep-last': input(
    'a whole number, 0 or more',
    wholeNumber(0, Number.MAX_SAFE_INTEGER)
  ),
  until: input(
    'a duration such as 36h, 7d, 1w2d or 0s, a date such as 2026-01-31, or an RFC 3339 time',
    (text) => {
      const duration = parseDuration(text)
      if (duration !== undefined) return { duration }
      const time = parseTime(text)
      return time === undefined ? undefined : { time }
    }
  ),
  'age-from': choiceInput({ 'last-used': 'last-used', created: 'created' }),
  'protected-labels': listInput('key or key=value', parseLabelPattern),
  'protected-images': listInput(
    'image IDs, or reference globs with *, ** and ?, such as node:* or ghcr.io/acme/**',
    (item) => {
      const problem = problemOfGlob(item)
      return problem === undefined ? { value: item } : { problem }
    }
  ),
  'include-containers': choiceInput(yesOrNo),
  'include-images': choiceInput({ ...yesOrNo, dangling: 'dangling' }),
  'include-networks': choiceInput(yesOrNo),
  'include-volumes': choiceInput({
    false: 'none',
    anonymous: 'anonymous',
    true: 'anonymous',
    all: 'all'
  }),
  'include-builders': choiceInput({
    false: 'none',
    stopped: 'stopped',
    all: 'all'
  }),
  'include-build-cache': choiceInput(yesOrNo),
  'build-cache-keep': input('a size such as 10GB or 20GiB', (text) =>
    text === '' ? 0 : parseSize(text)
  ),
  scope: choiceInput({
    engine: 'engine',
    'pull-request': 'pull-request',
    'closed-pull-requests': 'closed-pull-requests',
    job: 'job'
  }),
  'pull-request': input('the number of a pull request, such as 12', (text) =>
    text === '' ? 0 : wholeNumber(1, largestNumber)(text)
  ),
  'pull-request-patterns': listInput(
    'globs of tags with {number}, *, ** and ?, such as pr-{number} or pr-{number}-*',
    (item) => {
      const problem = problemOfPattern(item)
      return problem === undefined ? { value: item } : { problem }
    }
  ),
  'github-token': z.string(),
  'dry-run': choiceInput(yesOrNo),
  timeout: input('a duration above 0s, at most 24d', (text) => {
    const duration = parseDuration(text)
    return duration && duration >= 1 && duration <= longestTimeout
      ? duration
      : undefined
  }),
  concurrency: input('a whole number from 1 to 64', wholeNumber(1, 64)),
  docker: input('the name or path of a Docker CLI', asPath),
  'state-dir': input('the path of a folder, or nothing', asPath),
  'report-file': input('the path of a file', asPath)
} satisfies Record<InputName, unknown>)

function asPath(text: string): string | undefined {
  return text.includes('\0') ? undefined : text
}

/** Inputs that the step cannot go on with, in one message; nothing has been removed when it is thrown. */
export class InputError extends Error {
  override name = 'InputError'
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
  // The runner gives the defaults of action.yml as if somebody had written them.
  const off = (name: 'keep-last' | 'until') =>
    scope.kind !== 'engine' && texts[name] === defaults[name]
  return {
    policy: {
      scope,
      keepLast: off('keep-last') ? 0 : inputs['keep-last'],
      until: off('until') ? { duration: 0 } : inputs.until,
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
      github: githubOf(inputs, env)
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

/** The environment variable in which the runner passes an input on. */
export function variableOf(name: string): string {
  return `INPUT_${name.toUpperCase()}`
}

/** What the inputs of the scopes lack, or have too much. */
function problemsOfScope(
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

function makeScope(
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

/** GitHub Enterprise has an address of its own. */
function githubOf(
  inputs: z.output<typeof schema>,
  env: Record<string, string | undefined>
): Options['github'] {
  if (inputs.scope !== 'closed-pull-requests') return undefined
  const url = env['GITHUB_GRAPHQL_URL'] || 'https://api.github.com/graphql'
  return { token: inputs['github-token'], url }
}

/** Puts in the folder that a path begins with, by its variable, as the defaults of action.yml have it. */
function expand(path: string, folders: Record<string, string>): string {
  return path.replace(
    /^\$(?:(\w+)|\{(\w+)\})(?=[/\\]|$)/,
    (text, name?: string, braced?: string) =>
      folders[name ?? braced ?? ''] ?? text
  )
}

function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path)
  return !/^\.\.(?:[\\/]|$)/.test(way) && !isAbsolute(way)
}

/** Where the user's programs keep what they remember. */
function userState(env: Record<string, string | undefined>): string {
  const home = env['HOME'] || homedir()
  return (
    env['XDG_STATE_HOME'] || env['LOCALAPPDATA'] || join(home, '.local/state')
  )
}

/** The inputs as they were given, or their defaults. */
export type InputTexts = Record<InputName, string>

const inputNames = Object.keys(defaults).filter(
  (name): name is InputName => name in defaults
)

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
