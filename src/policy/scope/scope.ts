import type { Inventory } from '../../model/inventory.ts'
import type { Scope } from '../../model/policy.ts'
import { jobRules } from './job.ts'
import { pullRequestRules } from './pullRequests.ts'
import { sameForAll, type ScopeRules } from './rules.ts'

export function rulesOf(scope: Scope, inventory: Inventory): ScopeRules {
  switch (scope.kind) {
    case 'engine':
      return sameForAll(() => undefined)
    case 'pull-request':
      return pullRequestRules(scope, inventory)
    case 'job':
      return jobRules(scope)
  }
}
