import type { Builder } from '../model/builders.ts'
import { happened } from '../model/dates.ts'
import {
  type Decided,
  type Decision,
  keep,
  keepDependency,
  keepUnreadable,
  onlyKeep
} from '../model/decision.ts'
import type { Container } from '../model/inventory.ts'
import { isRemovable, isRunning, isSwarmTask, needsOf } from '../model/needs.ts'
import { describeUsers, usersOfVolume } from '../model/users.ts'
import { ageOf } from './age.ts'
import { decideBuilder } from './builders.ts'
import type { Context } from './context.ts'
import { idleTime } from './limits.ts'
import { contextUnder, decideByAge } from './rules.ts'
import { isRunnerContainer, keepForRunner } from './runner.ts'
import {
  judgeStop,
  keepRunning,
  keepRunningTogether,
  stopByRule
} from './stopAfter.ts'

/** Decides every container, also those of builders: each by itself first; then whatever a staying container needs stays. */
export function decideContainers(
  containers: readonly Container[],
  builders: readonly Builder[],
  context: Context
): Map<string, Decided> {
  const byId = new Map(builders.map((builder) => [builder.id, builder]))
  const decided = new Map(
    containers.map((container) => {
      const { id } = container
      const builder = byId.get(id)
      return [
        id,
        builder
          ? decideBuilder(container, builder.volume, context)
          : decideContainer(container, context)
      ]
    })
  )
  keepOfPods(containers, decided)
  do keepNeeded(containers, byId, decided, context.now)
  while (keepRunningTogether(containers, decided))
  return decided
}

/** Keeps the containers that staying ones need, and the builders whose state they mount. */
function keepNeeded(
  containers: readonly Container[],
  builders: ReadonlyMap<string, Builder>,
  decided: Map<string, Decided>,
  now: number
): void {
  let staying = containers.filter(
    ({ id }) => decided.get(id)?.decision.action === 'keep'
  )
  while (staying.length > 0) {
    const needs = needsOf(staying, { containers, images: [] })
    staying = containers.filter(({ id }) => {
      const state = builders.get(id)?.volume
      const ofState = state ? usersOfVolume(state, needs) : []
      const users = [...(needs.containers.get(id) ?? []), ...ofState]
      const detail = `used by ${describeUsers(users, now)}`
      return users.length > 0 && keepDependency(decided, id, detail)
    })
  }
}

function decideContainer(container: Container, context: Context): Decided {
  const { now, scope } = context
  const rule = context.rules.ofNamed('container', container)
  const running = isStoppable(container, context)
  const ruling =
    running && rule?.stopAfter !== undefined
      ? judgeStop(container, rule, context)
      : undefined
  const stop = running && context.policy.scope.kind !== 'engine'
  const stops = stop || ruling?.stops === true
  const evidence = [
    { at: container.finishedAt, of: 'exited' },
    { at: stops ? now : undefined, of: 'seen running' }
  ]
  const age =
    hasNoEnd(container) && !stops && context.limits.ageFrom === 'last-used'
      ? 'unknown'
      : ageOf(container.createdAt, evidence, context)
  const started = happened(container.startedAt) !== undefined
  const scoped = scope.container(container)
  const under = contextUnder(rule, context)
  // The ledger has no containers.
  const unwatched = { ...under, evidence: { remembers: false } }
  const decision =
    onlyKeep(scoped) ??
    (rule && ruling?.stops === false
      ? keepRunning(container, rule, ruling.why, context)
      : undefined) ??
    keepContainer(container, stops, context) ??
    keepForRunner(
      isRunnerContainer(container),
      container.createdAt,
      evidence,
      context
    ) ??
    (rule && ruling?.stops
      ? stopByRule(container, rule, context)
      : decideByAge(age, { rule, scoped }, unwatched, started ? {} : container))
  return {
    decision: stop ? stopFirst(decision, container) : decision,
    idle: idleTime(age, under.limits)
  }
}

/** Labels of orchestrators for the containers of one pod, some of which only run once. */
const podLabels = [
  'io.kubernetes.pod.uid',
  'com.amazonaws.ecs.task-arn',
  'com.hashicorp.nomad.alloc_id'
]

/** Keeps all containers of a running pod: kubelet would run a missing init container again. */
function keepOfPods(
  containers: readonly Container[],
  decided: Map<string, Decided>
): void {
  for (const label of podLabels) {
    const pods = Map.groupBy(containers, ({ labels }) => labels[label])
    pods.delete(undefined)
    for (const members of pods.values()) {
      const running = members.find(
        (one) =>
          isRunning(one) && decided.get(one.id)?.decision.action === 'keep'
      )
      if (running === undefined) continue
      for (const { id } of members)
        keepDependency(
          decided,
          id,
          `in the same pod as running container ${running.name}`
        )
    }
  }
}

/** Whether its end is unknown: Podman records none for what ran when the host went down. */
function hasNoEnd({ startedAt, finishedAt }: Container): boolean {
  const started = happened(startedAt)
  // Docker 20.10 may date the end a moment before the start.
  return started !== undefined && (happened(finishedAt) ?? 0) + 1_000 < started
}

/** Whether it runs and can be stopped. Podman cannot stop a paused container. */
function isStoppable(container: Container, { engine }: Context): boolean {
  return (
    isRunning(container) &&
    !(engine.kind === 'podman' && container.state === 'paused')
  )
}

function stopFirst(decision: Decision, { state }: Container): Decision {
  const now = state === 'stopped' ? 'may restart' : state
  const detail = `${decision.detail}; ${now}, stopped first`
  return decision.action === 'remove'
    ? { ...decision, detail, stop: true }
    : decision
}

function keepContainer(
  container: Container,
  stop: boolean,
  { policy, protectedBy, engine }: Context
): Decision | undefined {
  const { state, labels, startedAt, unreadable } = container
  if (unreadable) return keepUnreadable('container', container.name)
  if (!isRemovable(container) && !stop) return keep('in-use', state)
  const waits = isSwarmTask(container) && happened(startedAt) === undefined
  if (engine.swarm !== 'none' && waits)
    return keep('in-use', 'swarm task, not started yet')
  const label = protectedBy(labels)
  if (label !== undefined) return keep('protected-label', label)
  return policy.includeContainers
    ? undefined
    : keep('not-included', 'include-containers is false')
}
