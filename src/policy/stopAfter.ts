import { plausible } from '../model/dates.ts'
import { type Decided, type Decision, keep, remove } from '../model/decision.ts'
import type { Container } from '../model/inventory.ts'
import { composeProject, isRunning, needsOf } from '../model/needs.ts'
import { describeRule, type Rule } from '../model/rules.ts'
import { formatDuration } from '../units.ts'
import type { Context } from './context.ts'
import { limitsUnder, underRule } from './rules.ts'
import { isRunnerContainer } from './runner.ts'
import { isAnonymous, keepElsewhere } from './volumes.ts'

/** What a rule with `stop-after` makes of a running container. */
type StopRuling = { stops: true } | { stops: false; why: string }

/** Whether a rule stops a container: it has run for long enough, and nothing speaks against it. */
export function judgeStop(
  container: Container,
  { stopAfter = Infinity }: Rule,
  context: Context
): StopRuling {
  const ran = runningFor(container, context)
  if (ran === undefined) return { stops: false, why: 'start time unknown' }
  if (ran < stopAfter) return { stops: false, why: '' }
  const found = obstacles.find(([isThere]) => isThere(container, context))
  return found === undefined ? { stops: true } : { stops: false, why: found[1] }
}

function runningFor(
  { startedAt }: Container,
  { now }: Context
): number | undefined {
  const started = plausible(startedAt, now)
  return started === undefined ? undefined : Math.max(now - started, 0)
}

/** Labels of tools that look after their own containers. */
const managers =
  /^(?:io\.kubernetes|com\.amazonaws\.ecs|com\.hashicorp\.nomad|com\.gitlab\.gitlab-runner|com\.docker\.swarm)\./

/** The engine's socket: a container that has it may manage others. */
const socket = /(?:docker|podman|containerd)\.sock$|[\\/]pipe[\\/]docker/

/** A folder that the socket is in. */
const socketFolder =
  /^\/(?:(?:var\/)?run(?:\/user(?:\/\d+)?)?(?:\/(?:docker|podman|containerd))*\/?|var\/?)?$/

/** Containers that no rule stops, and why. */
const obstacles: readonly (readonly [
  isThere: (container: Container, context: Context) => boolean,
  why: string
])[] = [
  [
    ({ restartPolicy }) => !['', 'no'].includes(restartPolicy),
    'has a restart policy'
  ],
  [
    ({ labels }) => Object.keys(labels).some((key) => managers.test(key)),
    'managed by another tool'
  ],
  [isRunnerContainer, 'created by the runner for a job'],
  [({ execs }) => execs?.length !== 0, 'has an exec session'],
  [
    ({ binds }) =>
      binds.some((one) => socket.test(one) || socketFolder.test(one)),
    'has the Docker socket'
  ],
  [({ id }, { self }) => id === self, 'this step runs inside'],
  [
    (_, { oldestJob }) => oldestJob === undefined,
    'the jobs on this host cannot be seen'
  ],
  [
    // The clocks of processes count in hundredths of a second.
    ({ startedAt = 0 }, { oldestJob = 0 }) => startedAt + 1_000 > oldestJob,
    'started after a running job began'
  ],
  [
    (container, context) =>
      container.autoRemove &&
      container.volumes.some((name) => losesKept(name, context)),
    'Docker would also remove an anonymous volume (--rm) that is kept'
  ]
]

/** Whether the volume would go with the container that mounts it, although it may not go by itself. */
function losesKept(
  name: string,
  { volumes, policy, protectedBy, rules }: Context
): boolean {
  const volume = volumes.get(name)
  if (!isAnonymous(volume ?? { name, labels: {} })) return false
  return (
    policy.includeVolumes === 'none' ||
    volume === undefined ||
    keepElsewhere(volume) !== undefined ||
    protectedBy(volume.labels) !== undefined ||
    rules.ofNamed('volume', volume)?.keep === true
  )
}

/**
 * The decision on a container that a rule stops. It goes at once with `until: 0s`, or where Docker removes it by itself;
 * otherwise the ordinary rule removes it once it has been idle for `until`.
 */
export function stopByRule(
  container: Container,
  rule: Rule,
  context: Context
): Decision {
  const { autoRemove, imageReference } = container
  const ran = formatDuration(runningFor(container, context) ?? 0)
  const detail = `running for ${ran}, image ${imageReference}`
  const last = autoRemove ? '; Docker removes --rm containers once stopped' : ''
  return underRule(
    autoRemove || limitsUnder(rule, context).until === 0
      ? { ...remove('expired', `${detail}; stopped first${last}`), stop: true }
      : { ...keep('recent', detail), stop: true },
    rule
  )
}

/** Keeps a running container that a rule does not stop. */
export function keepRunning(
  container: Container,
  rule: Rule,
  why: string,
  context: Context
): Decision {
  const ran = formatDuration(runningFor(container, context) ?? 0)
  const detail = `${container.state} for ${ran}`
  return {
    ...keep(
      'in-use',
      `${detail}${why && `; not stopped: ${why}`}; ${describeRule(rule)}`
    ),
    rule: rule.line
  }
}

/**
 * Keeps containers running that others need: those of a compose project of which a part runs on, and those that a
 * running container names. Returns whether there were any.
 */
export function keepRunningTogether(
  containers: readonly Container[],
  decided: Map<string, Decided>
): boolean {
  const decisionOf = ({ id }: Container) => decided.get(id)?.decision
  const isStopped = (one: Container) => 'stop' in (decisionOf(one) ?? {})
  const running = containers.filter((one) => isRunning(one) && !isStopped(one))
  const projects = new Map(running.map((one) => [composeProject(one), one]))
  const needs = needsOf(running, { containers, images: [] })
  let changed = false
  for (const container of containers) {
    const decision = decisionOf(container)
    if (!isStopped(container) || decision?.rule === undefined) continue
    const project = composeProject(container)
    const [user] = needs.containers.get(container.id) ?? []
    const other = project === undefined ? user : (projects.get(project) ?? user)
    if (other === undefined) continue
    const why = other === user ? 'needed by' : 'same compose project as'
    const detail = `${container.state}; not stopped: ${why} running container ${other.name}`
    decided.set(container.id, {
      decision: { ...keep('in-use', detail), rule: decision.rule },
      idle: 0
    })
    changed = true
  }
  return changed
}
