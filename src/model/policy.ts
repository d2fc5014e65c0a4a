import type { Until } from './dates.ts'
import type { FreeSpace } from './disks.ts'
import type { InputName } from './inputs.ts'
import type { LabelPattern } from './patterns.ts'
import type { Rule } from './rules.ts'

/** The inputs that decisions need, as plain data. Sizes in bytes, durations and instants in milliseconds. */
export type Policy = {
  scope: Scope
  /** Inputs that the scope switches off. */
  ignored: InputName[]
  keepLast: number
  /** How idle time is measured: from the latest evidence of use, or from Docker's `Created` alone. */
  ageFrom: 'last-used' | 'created'
  /** How long, or since when, a resource must have been idle. */
  until: Until
  /** For each reference or resource, the first that matches decides. */
  rules: readonly Rule[]
  protectedLabels: LabelPattern[]
  /** Reference globs, see `referenceMatcher`. */
  protectedImages: string[]
  includeContainers: boolean
  includeImages: boolean | 'dangling'
  includeNetworks: boolean
  includeVolumes: 'none' | 'anonymous' | 'all'
  includeBuilders: 'none' | 'stopped' | 'all'
  includeBuildCache: boolean
  /** 0 keeps none. */
  buildCacheKeep: number
  /** The gate: nothing is removed while more is free. */
  whenFreeBelow: FreeSpace | undefined
  /** The target: the removal ends once that much is free. */
  untilFreeAbove: FreeSpace | undefined
  /** The most removals of each kind; a larger plan is not carried out. */
  maxRemovals: MaxRemovals | undefined
}

/** A number of resources of each kind, or a percentage of them. */
export type MaxRemovals = { count: number } | { percent: number }

export type Scope = { kind: 'engine' } | PullRequests | Job

/** A scope in words: `engine`, `pull request 12 of acme/web`, `this job`. */
export function describeScope(scope: Scope): string {
  switch (scope.kind) {
    case 'engine':
      return 'engine'
    case 'pull-request':
      return describePullRequests(scope)
    case 'job':
      return 'this job'
  }
}

/** The IDs of everything on an engine, and names. References are `canonical`. */
export type EngineContents = {
  containers: ReadonlySet<string>
  images: ReadonlySet<string>
  references: ReadonlySet<string>
  networks: ReadonlySet<string>
  /** Of containers and networks. */
  names: ReadonlySet<string>
  volumes: ReadonlySet<string>
}

/** Limits a run to what came since a job began. Without `before`, that is nothing. */
export type Job = { kind: 'job'; before: EngineContents | undefined }

/** Limits a run to pull requests of one repository. */
export type PullRequests = {
  kind: 'pull-request'
  /** As GitHub names it: `acme/web`. */
  repository: string
  /** Only what belongs to none but closed ones goes. */
  numbers: ReadonlyMap<number, PullRequestState>
  /** Globs of tags, each with `{number}` in it. */
  patterns: readonly string[]
}

export type PullRequestState = 'closed' | 'open' | 'unknown'

/** GraphQL's `Int`. */
export const largestNumber = 2 ** 31 - 1

export function describePullRequests({
  repository,
  numbers
}: PullRequests): string {
  const [first, ...more] = numbers.keys()
  if (first === undefined) return `closed pull requests of ${repository}`
  return more.length === 0
    ? `pull request ${first} of ${repository}`
    : `closed pull requests of ${repository} (${numbers.size} checked)`
}
