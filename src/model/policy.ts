import type { InputName } from './inputs.ts'
import type { LabelPattern } from './patterns.ts'

/** What the inputs ask for, as plain data. Sizes in bytes, durations and instants in milliseconds. */
export type Policy = {
  scope: Scope
  /** Inputs that the scope switches off. */
  ignored: InputName[]
  keepLast: number
  /** What idle counts from: the latest evidence of use, or Docker's own `Created` alone. */
  ageFrom: 'last-used' | 'created'
  /** How long a resource must have been idle to go; or the instant since which it must have been. */
  until: { duration: number } | { time: number }
  protectedLabels: LabelPattern[]
  /** Reference globs, see `referenceMatcher`. */
  protectedImages: string[]
  includeContainers: boolean
  includeImages: boolean | 'dangling'
  includeNetworks: boolean
  includeVolumes: 'none' | 'anonymous' | 'all'
  includeBuilders: 'none' | 'stopped' | 'all'
  includeBuildCache: boolean
  /** 0: none of the build cache is kept for its size. */
  buildCacheKeep: number
}

/** What a run is limited to, as plain data. */
export type Scope = { kind: 'engine' } | PullRequests | Job

/** A scope in words: `engine`, or what the run is limited to, such as `pull request 12 of acme/web`. */
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

/** What an engine holds: IDs, and beside them names; references in the form that `canonical` gives them. */
export type EngineContents = {
  containers: ReadonlySet<string>
  images: ReadonlySet<string>
  references: ReadonlySet<string>
  networks: ReadonlySet<string>
  /** Of containers and networks. */
  names: ReadonlySet<string>
  volumes: ReadonlySet<string>
}

/** What came since a job began; without a word of what was there `before` nothing did. */
export type Job = { kind: 'job'; before: EngineContents | undefined }

/** The pull requests of one repository that a run is limited to. */
export type PullRequests = {
  kind: 'pull-request'
  /** As GitHub names it: `acme/web`. */
  repository: string
  /** Only what belongs to closed ones alone goes. */
  numbers: ReadonlyMap<number, PullRequestState>
  /** Globs of tags, each with `{number}` in it. */
  patterns: readonly string[]
}

export type PullRequestState = 'closed' | 'open' | 'unknown'

/** The largest number that GitHub can be asked for. */
export const largestNumber = 2 ** 31 - 1

/** The pull requests in words: `pull request 12 of acme/web`, `the closed ones of 3 pull requests of acme/web`. */
export function describePullRequests({
  repository,
  numbers
}: PullRequests): string {
  const [first, ...more] = numbers.keys()
  if (first === undefined) return `closed pull requests of ${repository}`
  return more.length === 0
    ? `pull request ${first} of ${repository}`
    : `the closed ones of ${numbers.size} pull requests of ${repository}`
}
