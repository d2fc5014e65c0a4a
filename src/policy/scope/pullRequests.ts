import { type Decision, keep, remove } from '../../model/decision.ts'
import type { Container, Inventory, Labels } from '../../model/inventory.ts'
import {
  describePullRequests,
  type PullRequests,
  type PullRequestState
} from '../../model/policy.ts'
import { createFinder, projectLabel } from './pullRequestNumbers.ts'
import type { ScopeRules } from './rules.ts'
import { list } from '../../words.ts'

const ofNone = () =>
  keep('out-of-scope', 'nothing tells which pull request it is of')

/** What belongs to several pull requests goes only when all of them are closed. */
export function pullRequestRules(
  scope: PullRequests,
  { images }: Inventory
): ScopeRules {
  const find = createFinder(images, scope)
  const ofThing = (
    { labels }: { labels: Labels },
    users: readonly Container[]
  ) =>
    judge(
      [
        ...find.ofProject(labels),
        // What another compose project made is that one's, whoever uses it.
        ...users
          .filter((user) =>
            [undefined, find.projectOf(user)].includes(labels[projectLabel])
          )
          .flatMap(find.ofContainer)
      ],
      scope
    )
  return {
    container: (container) => judge(find.ofContainer(container), scope),
    network: ofThing,
    volume: ofThing,
    image: (image) =>
      image.references.length === 0
        ? judge(find.ofImage(image), scope)
        : judgeReferences(
            image.references.map((reference) => ({
              reference,
              numbers: find.ofReference(image, reference)
            })),
            scope
          ),
    builder: ofNone,
    buildCache: ofNone
  }
}

function judge(found: readonly number[], scope: PullRequests): Decision {
  const numbers = [...new Set(found)].sort((a, b) => a - b)
  const whoseStateIs = (state: PullRequestState | undefined) =>
    numbers.filter((number) => scope.numbers.get(number) === state)
  const open = whoseStateIs('open')
  if (open.length > 0)
    return keep('pull-request-open', `it belongs to ${name(open)}: open`)
  const unknown = whoseStateIs('unknown')
  if (unknown.length > 0)
    return keep(
      'pull-request-unknown',
      `it belongs to ${name(unknown)}: whether closed, nobody could tell`
    )
  const others = whoseStateIs(undefined)
  if (others.length > 0)
    return keep('out-of-scope', `it belongs to ${name(others)}`)
  return numbers.length === 0
    ? keep(
        'out-of-scope',
        `it does not belong to ${describePullRequests(scope)}`
      )
    : remove('pull-request', `it belongs to ${name(numbers)}`)
}

function name(numbers: readonly number[]): string {
  return `pull request${numbers.length > 1 ? 's' : ''} ${list(numbers.map(String))}`
}

/** An image goes with all its references, or loses those that go. */
function judgeReferences(
  references: readonly { reference: string; numbers: readonly number[] }[],
  scope: PullRequests
): Decision {
  const judged = references.map((one) => ({
    ...one,
    decision: judge(one.numbers, scope)
  }))
  const going = judged.filter(({ decision }) => decision.action === 'remove')
  if (going.length === 0) {
    // What names a pull request says more than what does not.
    const kept = judged.map(({ decision }) => decision)
    return (
      kept.find(({ reason }) => reason !== 'out-of-scope') ??
      kept[0] ??
      judge([], scope)
    )
  }
  const { detail } = judge(
    going.flatMap(({ numbers }) => numbers),
    scope
  )
  return going.length === references.length
    ? remove('pull-request', detail)
    : {
        action: 'untag',
        reason: 'pull-request',
        detail,
        removedReferences: going.map(({ reference }) => reference)
      }
}
