import type { Inventory } from '../../model/inventory.ts'
import type { Scope } from '../../model/policy.ts'
import { jobRules } from './job.ts'
import { pullRequestRules } from './pullRequests.ts'
import type { ScopeRules } from './rules.ts'

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
