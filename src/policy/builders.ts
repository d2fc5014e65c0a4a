import { type Builder, hasNoClient } from '../model/builders.ts'
import { happened } from '../model/dates.ts'
import {
  type Age,
  type Decided,
  type Decision,
  keep,
  keepUnreadable,
  onlyKeep,
  remove
} from '../model/decision.ts'
import type { Container, Volume } from '../model/inventory.ts'
import { isRemovable, type NeedsBoth } from '../model/needs.ts'
import type { Rule } from '../model/rules.ts'
import { ageOf, describeAge, keepForAge } from './age.ts'
import type { Context } from './context.ts'
import { idleTime } from './limits.ts'
import { contextUnder, keepForRule, underRule } from './rules.ts'
import { isRunnerContainer, keepForRunner } from './runner.ts'
import { decideVolumes, keepElsewhere, keepUnwatched } from './volumes.ts'

/** Decides a builder that has a container, by the rule of that; its state volume shares the decision. */
export function decideBuilder(
  container: Container,
  volume: Volume | undefined,
  context: Context
): Decided {
  const running = container.state === 'running'
  const started = happened(container.startedAt) !== undefined
  const age = ageOfBuilder(container, context)
  const rule = ruleOfBuilder({ container, volume }, context)
  const under = contextUnder(rule, context)
  const recent = keepForAge(age, under, started ? undefined : container)
  const decision =
    onlyKeep(context.scope.builder()) ??
    keepBuilder(container, volume, context) ??
    keepForRunner(
      isRunnerContainer(container),
      container.createdAt,
      [{ at: running ? context.now : container.finishedAt, of: 'seen in use' }],
      context
    ) ??
    keepByGuard(container, context) ??
    (volume && keepElsewhere(volume)) ??
    keepForRule(rule) ??
    underRule(
      recent ??
        (running ? stopFirst(age) : remove('expired', describeAge(age))),
      rule
    )
  return { decision, idle: idleTime(age, under.limits) }
}

/** The rule of its container, unless one with `keep` matches its volume; without a container, that of the volume. */
export function ruleOfBuilder(
  { container, volume }: Pick<Builder, 'container' | 'volume'>,
  { rules }: Pick<Context, 'rules'>
): Rule | undefined {
  const own = container && rules.ofNamed('container', container)
  const ofState = volume && rules.ofNamed('volume', volume)
  if (own?.keep) return own
  return ofState?.keep || container === undefined ? ofState : own
}

function stopFirst(age: Age): Decision {
  const detail = `${describeAge(age)}; running without a client, stopped first`
  return { action: 'remove', reason: 'expired', detail, stop: true }
}

/** A running builder counts from its start or its latest client in the event log, whatever `age-from` says. */
function ageOfBuilder(container: Container, context: Context): Age {
  const clients = context.evidence.of(container.id)
  if (container.state !== 'running') {
    const stopped = { at: container.finishedAt, of: 'exited' }
    return ageOf(container.createdAt, [stopped, ...clients], context)
  }
  const started = { at: container.startedAt, of: 'started' }
  return ageOf(undefined, [started, ...clients], {
    limits: { ageFrom: 'last-used' },
    now: context.now
  })
}

function keepBuilder(
  container: Container,
  volume: Volume | undefined,
  { protectedBy }: Context
): Decision | undefined {
  const { state, labels, name, unreadable } = container
  if (!isRemovable(container) && state !== 'running')
    return keep('in-use', state)
  if (unreadable) return keepUnreadable('container', name)
  const label = protectedBy(labels)
  if (label !== undefined) return keep('protected-label', label)
  const ofState = volume && protectedBy(volume.labels)
  return ofState === undefined
    ? undefined
    : keep('protected-label', `state volume ${ofState}`)
}

function keepByGuard(
  container: Container,
  context: Context
): Decision | undefined {
  const notIncluded = keepAsNotIncluded(context)
  if (notIncluded !== undefined || container.state !== 'running')
    return notIncluded
  if (context.policy.includeBuilders !== 'all')
    return keep(
      'not-included',
      'running; only removed with include-builders: all'
    )
  return hasNoClient(container)
    ? undefined
    : keep('in-use', 'a client is connected')
}

function keepAsNotIncluded({ policy, engine }: Context): Decision | undefined {
  if (policy.includeBuilders === 'none')
    return keep('not-included', 'include-builders is false')
  // Podman can remove another volume than the named one, see decideVolumes.
  return engine.kind === 'podman'
    ? keep('not-included', 'builders are not removed on Podman', null)
    : undefined
}

/** Decides builders whose containers are gone: their state volumes. */
export function decideLeftStates(
  volumes: readonly Volume[],
  needs: NeedsBoth,
  context: Context
): Map<string, Decided> {
  const guard = (volume: Volume, under: Context) =>
    onlyKeep(context.scope.builder()) ??
    keepAsNotIncluded(context) ??
    keepElsewhere(volume) ??
    keepUnwatched(volume, under)
  const decided = decideVolumes(volumes, needs, context, guard)
  return new Map(
    [...decided].map(([id, { decision, idle }]) => {
      const { action, detail } = decision
      const why = `container already removed; ${detail}`
      const goes = action === 'remove' ? { ...decision, detail: why } : decision
      return [id, { decision: goes, idle }]
    })
  )
}
