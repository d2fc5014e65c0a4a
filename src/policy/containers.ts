import { ageOf, describeAge, keepForAge, plausible, type Age } from './age.ts'
import type { Context } from './context.ts'
import { keep, remove, type Decision } from './decision.ts'
import type { Container } from './inventory.ts'
import { describeUsers, needsOf } from './needs.ts'

/** States in which a container can be removed without stopping it. */
const removable = new Set(['created', 'exited', 'dead'])

export function ageOfContainer(container: Container, now: number): Age {
  return ageOf(
    plausible(container.finishedAt) === undefined
      ? [{ at: container.createdAt, of: 'created' }]
      : [{ at: container.finishedAt, of: 'stopped' }],
    now
  )
}

/** Decides every container: by itself first, then those that a staying one joins stay as well. */
export function decideContainers(
  containers: readonly Container[],
  context: Context
): Map<string, Decision> {
  const decisions = new Map(
    containers.map((container) => [container.id, decide(container, context)])
  )
  const stays = ({ id }: Container) => decisions.get(id)?.action === 'keep'
  for (let staying = containers.filter(stays); staying.length > 0;) {
    const { containers: joined } = needsOf(staying, { containers, images: [] })
    staying = containers.filter((c) => joined.has(c.id) && !stays(c))
    for (const { id } of staying) {
      const users = describeUsers(joined.get(id) ?? [], context.now)
      decisions.set(id, keep('in-use', `needed by ${users}`))
    }
  }
  return decisions
}

function decide(container: Container, context: Context): Decision {
  const { policy, now } = context
  const label = context.protectedBy(container.labels)
  if (!removable.has(container.state))
    return keep('in-use', `it is ${container.state}`)
  if (label !== undefined) return keep('protected-label', label)
  if (!policy.includeContainers)
    return keep('not-included', 'include-containers is false')
  const age = ageOfContainer(container, now)
  const started = plausible(container.startedAt) !== undefined
  const recent = started
    ? keepForAge(age, context)
    : keepForAge(age, context, container)
  return recent ?? remove('expired', describeAge(age))
}
