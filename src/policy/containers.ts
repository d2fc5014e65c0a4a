import { ageOf, describeAge, keepForAge, plausible } from './age.ts'
import type { Context } from './context.ts'
import {
  keep,
  keepAsWell,
  onlyKeep,
  remove,
  type Decided,
  type Decision
} from './decision.ts'
import type { Container } from './inventory.ts'
import { describeUsers, isRunning, needsOf } from './needs.ts'
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
  const { now, scope } = context
  const stop = isToStop(container, context)
  const evidence = [
    { at: container.finishedAt, of: 'stopped' },
    { at: stop ? now : undefined, of: 'seen running' }
  ]
  const age = ageOf(container.createdAt, evidence, context)
  const started = plausible(container.startedAt) !== undefined
  const recent = started
    ? keepForAge(age, context)
    : keepForAge(age, context, container)
  const scoped = scope.container(container)
  const decision =
    onlyKeep(scoped) ??
    keepAnyway(container, stop, context) ??
    keepForRunner(
      isRunnerContainer(container),
      container.createdAt,
      evidence,
      context
    ) ??
    recent ??
    scoped ??
    remove('expired', describeAge(age))
  return { decision: stop ? stopFirst(decision, container) : decision, age }
}

/** Outside scope `engine` what runs may go, too. Podman cannot stop what is paused. */
function isToStop(container: Container, { policy, engine }: Context): boolean {
  return (
    policy.scope.kind !== 'engine' &&
    isRunning(container) &&
    !(engine.kind === 'podman' && container.state === 'paused')
  )
}

function stopFirst(decision: Decision, { state }: Container): Decision {
  const detail = `${decision.detail}; it is ${state}, and is stopped first`
  return decision.action === 'remove'
    ? { ...decision, detail, stop: true }
    : decision
}

function keepAnyway(
  { state, labels }: Container,
  stop: boolean,
  { policy, protectedBy }: Context
): Decision | undefined {
  if (!removable.has(state) && !stop) return keep('in-use', `it is ${state}`)
  const label = protectedBy(labels)
  if (label !== undefined) return keep('protected-label', label)
  return policy.includeContainers
    ? undefined
    : keep('not-included', 'include-containers is false')
}
