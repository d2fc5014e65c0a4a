import {
  type Decided,
  type Decision,
  keep,
  keepDependency,
  onlyKeep
} from '../model/decision.ts'
import type { Network } from '../model/inventory.ts'
import { isRunning, type NeedsBoth } from '../model/needs.ts'
import { describeUsers, usersOfNetwork } from '../model/users.ts'
import { ageOrWatch, containerExits } from './age.ts'
import type { Context } from './context.ts'
import { idleTime } from './limits.ts'
import { contextUnder, decideByAge } from './rules.ts'
import { isRunnerNetwork, keepForRunner } from './runner.ts'

/** Networks that Docker or Podman makes, also on Windows. */
const builtIn = new Set([
  'bridge',
  'host',
  'none',
  'ingress',
  'docker_gwbridge',
  'nat',
  'podman'
])

/** Decides every network. One that a staying network is configured from stays, too. */
export function decideNetworks(
  networks: readonly Network[],
  needs: NeedsBoth,
  context: Context
): Map<string, Decided> {
  const decided = new Map(
    networks.map((network) => [
      network.id,
      decideNetwork(network, needs, context)
    ])
  )
  const ids = new Map(networks.map(({ id, name }) => [name, id]))
  for (const { id, name, configFrom = '' } of networks)
    if (decided.get(id)?.decision.action === 'keep')
      keepDependency(
        decided,
        ids.get(configFrom) ?? '',
        `used by network ${name} (config-from)`
      )
  return decided
}

function decideNetwork(
  network: Network,
  needs: NeedsBoth,
  context: Context
): Decided {
  const users = usersOfNetwork(network, needs.all)
  const evidence = [
    ...containerExits(users, context.now),
    ...context.evidence.of(network.id, network.createdAt)
  ]
  const watchedSince = context.evidence.watchedSince(network.id)
  const age = ageOrWatch(network.createdAt, evidence, watchedSince, context)
  const scoped = context.scope.network(network, users)
  const rule = context.rules.ofNamed('network', network)
  const under = contextUnder(rule, context)
  const decision =
    keepBuiltIn(network) ??
    onlyKeep(scoped) ??
    keepNetwork(network, needs, context) ??
    keepForRunner(
      isRunnerNetwork(network),
      network.createdAt,
      evidence,
      context
    ) ??
    decideByAge(age, { rule, scoped }, under, { ...network, watchedSince })
  return { decision, idle: idleTime(age, under.limits) }
}

function keepBuiltIn({ name, ingress }: Network): Decision | undefined {
  return builtIn.has(name) || ingress
    ? keep('built-in', 'created by the engine itself')
    : undefined
}

function keepNetwork(
  network: Network,
  { staying, all }: NeedsBoth,
  { policy, now, protectedBy }: Context
): Decision | undefined {
  const users = usersOfNetwork(network, staying)
  if (users.length > 0)
    return keep('in-use', `used by ${describeUsers(users, now)}`)
  // Containers that go are stopped before the network goes.
  const stopped = usersOfNetwork(network, all).filter(isRunning)
  const leaving = new Set(stopped.map(({ id }) => id))
  if (network.containers.some((id) => !leaving.has(id)))
    return keep('in-use', 'a running container is connected')
  if (network.scope === 'swarm')
    return keep('in-use', 'swarm network: may be in use on other nodes')
  const label = protectedBy(network.labels)
  if (label !== undefined) return keep('protected-label', label)
  return policy.includeNetworks
    ? undefined
    : keep('not-included', 'include-networks is false')
}
