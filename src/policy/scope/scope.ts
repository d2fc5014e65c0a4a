import type { Decision } from '../../model/decision.ts'
import type {
  Container,
  Image,
  Inventory,
  Network,
  Volume
} from '../../model/inventory.ts'
import { jobRules, type Job } from './job.ts'
import {
  describePullRequests,
  pullRequestRules,
  type PullRequests
} from './pullRequests.ts'

/** What a run is limited to, as plain data. */
export type Scope = { kind: 'engine' } | PullRequests | Job

/**
 * What a scope says of each resource: it stays, because it does not belong; or it belongs, and goes for that (of an
 * image perhaps some references alone), unless another rule keeps it. Undefined: the scope says nothing, age decides.
 */
export type ScopeRules = {
  container: (container: Container) => Decision | undefined
  image: (image: Image) => Decision | undefined
  /** `users` are all containers that need it, those that go as well. */
  network: (
    network: Network,
    users: readonly Container[]
  ) => Decision | undefined
  volume: (volume: Volume, users: readonly Container[]) => Decision | undefined
  builder: () => Decision | undefined
  buildCache: () => Decision | undefined
}

const nothing = () => undefined

/** In scope `engine` everything belongs. */
const engineRules: ScopeRules = {
  container: nothing,
  image: nothing,
  network: nothing,
  volume: nothing,
  builder: nothing,
  buildCache: nothing
}

/** Makes ready what a scope says of the resources of an inventory. */
export function rulesOf(scope: Scope, inventory: Inventory): ScopeRules {
  switch (scope.kind) {
    case 'engine':
      return engineRules
    case 'pull-request':
      return pullRequestRules(scope, inventory)
    case 'job':
      return jobRules(scope)
  }
}

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
