import { ageOf, describeAge, keepForAge, plausible } from './age.ts'
import type { Context } from './context.ts'
import {
  keep,
  keepAsWell,
  remove,
  type Decided,
  type Decision
} from './decision.ts'
import type { Container } from './inventory.ts'
import { describeUsers, needsOf } from './needs.ts'
import { isRunnerContainer, keepForRunner } from './runner.ts'

/** States in which a container can be removed without stopping it. */
const removable = new Set(['created', 'exited', 'dead'])

/** Decides every container: by itself first, then those that a staying one joins stay as well. */
export function decideContainers(
  containers: readonly Container[],
  context: Context
): Map<string, Decided> {
  const decided = new Map(
    containers.map((container) => [container.id, decide(container, context)])
  )
  let staying = containers.filter(
    ({ id }) => decided.get(id)?.decision.action === 'keep'
  )
  while (staying.length > 0) {
    const { containers: joined } = needsOf(staying, { containers, images: [] })
    staying = containers.filter(({ id }) => {
      const users = describeUsers(joined.get(id) ?? [], context.now)
      return joined.has(id) && keepAsWell(decided, id, `needed by ${users}`)
    })
  }
  return decided
}

function decide(container: Container, context: Context): Decided {
  const stopped = { at: container.finishedAt, of: 'stopped' }
  const age = ageOf(container.createdAt, [stopped], context)
  const started = plausible(container.startedAt) !== undefined
  const recent = started
    ? keepForAge(age, context)
    : keepForAge(age, context, container)
  const decision =
    keepAnyway(container, context) ??
    keepForRunner(
      isRunnerContainer(container),
      container.createdAt,
      [stopped],
      context
    ) ??
    recent ??
    remove('expired', describeAge(age))
  return { decision, age }
}

function keepAnyway(
  { state, labels }: Container,
  { policy, protectedBy }: Context
): Decision | undefined {
  if (!removable.has(state)) return keep('in-use', `it is ${state}`)
  const label = protectedBy(labels)
  if (label !== undefined) return keep('protected-label', label)
  return policy.includeContainers
    ? undefined
    : keep('not-included', 'include-containers is false')
}
