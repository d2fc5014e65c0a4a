import { type Decision, keep, remove } from '../../model/decision.ts'
import type {
  Container,
  Image,
  Inventory,
  Labels
} from '../../model/inventory.ts'
import type { PullRequests, PullRequestState } from '../../model/policy.ts'
import { list } from '../../words.ts'
import { projectLabel, projectOf } from './composeProject.ts'
import {
  createSearch,
  numbersOfContainer,
  numbersOfImage,
  numbersOfProject,
  numbersOfReference,
  type Search
} from './pullRequestNumbers.ts'
import type { ScopeRules } from './rules.ts'

/** A resource of several pull requests goes only when all of them are closed. */
export function pullRequestRules(
  scope: PullRequests,
  { images }: Inventory
): ScopeRules {
  const search = createSearch(images, scope)
  const judgeUsed = (
    { labels }: { labels: Labels },
    users: readonly Container[]
  ) => judge(numbersWithUsers(labels, users, search), scope)
  const keepAlways = () =>
    keep('out-of-scope', 'cannot be attributed to a pull request')
  return {
    container: (container) =>
      judge(numbersOfContainer(container, search), scope),
    image: (image) => judgeImage(image, search, scope),
    network: judgeUsed,
    volume: judgeUsed,
    builder: keepAlways,
    buildCache: keepAlways
  }
}

/** An image goes with all its references, or loses those that go. */
function judgeImage(
  image: Image,
  search: Search,
  scope: PullRequests
): Decision {
  const judged = image.references.map((reference) => {
    const numbers = numbersOfReference(reference, image, search)
    return { reference, numbers, decision: judge(numbers, scope) }
  })
  const going = judged.filter(({ decision }) => decision.action === 'remove')
  if (going.length === 0) {
    // The most specific reason; the last one is for an image without references.
    const kept = judged.map(({ decision }) => decision)
    return (
      kept.find(({ reason }) => reason !== 'out-of-scope') ??
      kept[0] ??
      judge(numbersOfImage(image, search), scope)
    )
  }
  const numbers = going.flatMap((one) => one.numbers)
  const { detail } = judge(numbers, scope)
  return going.length === judged.length
    ? remove('pull-request', detail)
    : {
        action: 'untag',
        reason: 'pull-request',
        detail,
        removedReferences: going.map(({ reference }) => reference)
      }
}

function numbersWithUsers(
  labels: Labels,
  users: readonly Container[],
  search: Search
): number[] {
  const project = labels[projectLabel]
  // Another compose project's network stays that project's, whoever uses it.
  const counted = users.filter(
    (user) =>
      project === undefined || project === projectOf(user, search.images)
  )
  return [
    ...numbersOfProject(labels, search),
    ...counted.flatMap((user) => numbersOfContainer(user, search))
  ]
}

function judge(found: readonly number[], scope: PullRequests): Decision {
  const numbers = [...new Set(found)].sort((a, b) => a - b)
  const inState = (state: PullRequestState | undefined) =>
    numbers.filter((number) => scope.numbers.get(number) === state)
  const open = inState('open')
  if (open.length > 0)
    return keep('pull-request-open', `belongs to ${describe(open)} (open)`)
  const unknown = inState('unknown')
  if (unknown.length > 0)
    return keep(
      'pull-request-unknown',
      `belongs to ${describe(unknown)} (state unknown)`
    )
  const others = inState(undefined)
  if (others.length > 0)
    return keep('out-of-scope', `belongs to ${describe(others)}`)
  return numbers.length === 0
    ? keep('out-of-scope', `belongs to no pull request of ${scope.repository}`)
    : remove('pull-request', `belongs to ${describe(numbers)}`)
}

function describe(numbers: readonly number[]): string {
  return `pull request${numbers.length > 1 ? 's' : ''} ${list(numbers.map(String))}`
}
