import type { Inventory } from '../model/inventory.ts'
import type { Message } from '../model/messages.ts'
import type { Policy } from '../model/policy.ts'
import { findNumbers } from '../policy/scope/pullRequestNumbers.ts'
import { stateLines } from '../report/log.ts'
import { formatDuration } from '../units.ts'
import { count } from '../words.ts'
import { withSignsOfLife } from './progress.ts'
import type { Step } from './world.ts'

/** Completes the policy of scope `closed-pull-requests`: asks GitHub about the pull requests found on the engine. */
export async function fetchPullRequestStates(
  { policy, options, deadline, world }: Step,
  inventory: Inventory
): Promise<{ policy: Policy; problems: Message[] }> {
  const { scope } = policy
  const { github } = options
  if (github === undefined || scope.kind !== 'pull-request')
    return { policy, problems: [] }
  const { repository, patterns } = scope
  const found = findNumbers(inventory, repository, patterns)
  if (found.length === 0) return { policy, problems: [] }
  return world.log.group('Ask GitHub', async () => {
    const { info } = world.log
    info(
      `Found ${count(found.length, 'pull request')} of ${repository} on the engine`
    )
    // Loaded only for this scope: it costs time, and reads the environment.
    const { askGitHub } = await import(
      /* webpackMode: "eager" */ '../github/pullRequests.ts'
    )
    const { states, problems } = await withSignsOfLife(
      askGitHub(found, {
        ...github,
        ...{ repository, deadline, signal: world.signal, info }
      }),
      (elapsed) => {
        info(`… ${formatDuration(elapsed)}: still waiting for GitHub`)
      }
    )
    for (const line of stateLines(states)) info(line)
    return {
      policy: { ...policy, scope: { ...scope, numbers: states } },
      problems
    }
  })
}
