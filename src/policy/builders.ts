import { ageOf, describeAge, happened, keepForAge, type Age } from './age.ts'
import type { Context } from './context.ts'
import {
  keep,
  keepUnreadable,
  onlyKeep,
  remove,
  type Decided,
  type Decision
} from '../model/decision.ts'
import type { Container, Inventory, Volume } from '../model/inventory.ts'
import type { NeedsBoth } from '../model/needs.ts'
import { isRunnerContainer, keepForRunner } from './runner.ts'
import { decideVolumes, keepElsewhere, keepUnwatched } from './volumes.ts'

/** A builder of buildx: the container that it runs in and the volume that holds its state. One of them may be gone. */
export type Builder = {
  /** The ID of its container, or the name of the volume where that is all that is left. */
  id: string
  name: string
  container: Container | undefined
  volume: Volume | undefined
}

/** What buildx calls the container of a node: it takes names that begin with a letter, and writes them small. */
const builderName = /^buildx_buildkit_[a-z][a-z0-9._-]*$/
const stateSuffix = '_state'

export function isBuilder({ name }: Pick<Container, 'name'>): boolean {
  return builderName.test(name)
}

/** Finds the builders: containers by their name, each with its state, and state volumes whose container is gone. */
export function findBuilders({
  containers,
  volumes
}: Pick<Inventory, 'containers' | 'volumes'>): Builder[] {
  const states = new Map(
    volumes
      .filter(
        ({ name }) =>
          name.endsWith(stateSuffix) &&
          isBuilder({ name: name.slice(0, -stateSuffix.length) })
      )
      .map((volume) => [volume.name, volume])
  )
  const whole = containers.filter(isBuilder).map((container) => {
    const { id, name } = container
    return { id, name, container, volume: states.get(name + stateSuffix) }
  })
  for (const { volume } of whole) states.delete(volume?.name ?? '')
  const left = [...states.values()].map((volume) => {
    const { name } = volume
    return { id: name, name, container: undefined, volume }
  })
  return [...whole, ...left]
}

/** What builders hold in bytes, by their ID: what their containers have written, and their state. */
export function sizesOfBuilders(
  builders: readonly Builder[],
  sizes: Record<'containers' | 'volumes', ReadonlyMap<string, number>>
): Map<string, number> {
  return new Map(
    builders.flatMap(({ id, container, volume }) => {
      const written = container ? sizes.containers.get(id) : 0
      const state = volume ? sizes.volumes.get(volume.name) : 0
      return written === undefined || state === undefined
        ? []
        : [[id, written + state] as const]
    })
  )
}

/** States in which the container of a builder can go without being stopped. */
const removable = new Set(['created', 'exited', 'dead'])

/** Decides a builder that has its container; the volume with its state follows it. */
export function decideBuilder(
  container: Container,
  volume: Volume | undefined,
  context: Context
): Decided {
  const running = container.state === 'running'
  const started = happened(container.startedAt) !== undefined
  const age = ageOfBuilder(container, context)
  const decision =
    onlyKeep(context.scope.builder()) ??
    keepAnyway(container, volume, context) ??
    keepForRunner(
      isRunnerContainer(container),
      container.createdAt,
      [{ at: running ? context.now : container.finishedAt, of: 'seen in use' }],
      context
    ) ??
    keepByGuard(container, context) ??
    (volume && keepElsewhere(volume)) ??
    keepForAge(age, context, started ? undefined : container) ??
    (running ? stopFirst(age) : remove('expired', describeAge(age)))
  return { decision, age }
}

function stopFirst(age: Age): Decision {
  const detail = `${describeAge(age)}; it has no client now, and is stopped first`
  return { action: 'remove', reason: 'expired', detail, stop: true }
}

/** One that runs counts from its start, whatever `age-from` says, or from the latest client that the log shows. */
function ageOfBuilder(container: Container, context: Context): Age {
  const clients = context.evidence.of(container.id)
  if (container.state !== 'running') {
    const stopped = { at: container.finishedAt, of: 'stopped' }
    return ageOf(container.createdAt, [stopped, ...clients], context)
  }
  const policy = { ...context.policy, ageFrom: 'last-used' as const }
  const started = { at: container.startedAt, of: 'started' }
  return ageOf(undefined, [started, ...clients], { ...context, policy })
}

function keepAnyway(
  { state, labels, name, unreadable }: Container,
  volume: Volume | undefined,
  { protectedBy }: Context
): Decision | undefined {
  if (!removable.has(state) && state !== 'running')
    return keep('in-use', `it is ${state}`)
  if (unreadable) return keepUnreadable('container', name)
  const label = protectedBy(labels)
  if (label !== undefined) return keep('protected-label', label)
  const ofState = volume && protectedBy(volume.labels)
  return ofState === undefined
    ? undefined
    : keep('protected-label', `its state volume ${ofState}`)
}

function keepByGuard(
  container: Container,
  context: Context
): Decision | undefined {
  const notIncluded = keepAsNotIncluded(context)
  if (notIncluded !== undefined || container.state !== 'running')
    return notIncluded
  if (context.policy.includeBuilders !== 'all')
    return keep('not-included', 'only include-builders: all takes running ones')
  return hasNoClient(container)
    ? undefined
    : keep('in-use', 'a client is attached')
}

function keepAsNotIncluded({ policy, engine }: Context): Decision | undefined {
  if (policy.includeBuilders === 'none')
    return keep('not-included', 'include-builders is false')
  // It takes a name that is gone for the start of another: no volume of a name can go there.
  return engine.kind === 'podman'
    ? keep('not-included', 'on Podman, builders are left alone', null)
    : undefined
}

/** A build, or whoever else talks to a builder, is a process that `docker exec` runs in it. */
export function hasNoClient({ execs }: Container): boolean {
  return execs?.length === 0
}

/** Decides what is left of builders whose containers are gone: their state volumes. */
export function decideLeftStates(
  volumes: readonly Volume[],
  needs: NeedsBoth,
  context: Context
): Map<string, Decided> {
  const guard = (volume: Volume) =>
    onlyKeep(context.scope.builder()) ??
    keepAsNotIncluded(context) ??
    keepElsewhere(volume) ??
    keepUnwatched(volume, 'a state volume', context)
  const decided = decideVolumes(volumes, needs, context, guard)
  return new Map(
    [...decided].map(([id, { decision, age }]) => {
      const { action, detail } = decision
      const why = `its container is gone; ${detail}`
      const goes = action === 'remove' ? remove('expired', why) : decision
      return [id, { decision: goes, age }]
    })
  )
}
