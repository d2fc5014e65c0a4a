import { ageOf, describeAge, keepForAge, type Age } from './age.ts'
import type { Context } from './context.ts'
import { keep, remove, type Decision } from './decision.ts'
import type { Container, Network } from './inventory.ts'
import { describeUsers, usersOfNetwork, type Needs } from './needs.ts'

/** Made by Docker (or by Podman, or on Windows) itself; `network rm` answers some of them with a question. */
const builtIn = new Set([
  'bridge',
  'host',
  'none',
  'ingress',
  'docker_gwbridge',
  'nat',
  'podman'
])

/** The age of a network: since it was made, or since the last container on it ended. */
export function ageOfNetwork(
  network: Network,
  onIt: readonly Container[],
  now: number
): Age {
  return ageOf(
    [
      { at: network.createdAt, of: 'created' },
      ...onIt.map(({ finishedAt }) => ({
        at: finishedAt,
        of: 'last used by a container'
      }))
    ],
    now
  )
}

/** Decides every network. `staying` is what the staying containers need, `all` what all containers needed so far. */
export function decideNetworks(
  networks: readonly Network[],
  { staying, all }: { staying: Needs; all: Needs },
  context: Context
): Map<string, Decision> {
  const decisions = new Map(
    networks.map((network) => [
      network.id,
      decide(network, { staying, all }, context)
    ])
  )
  const configurations = new Map(networks.map(({ id, name }) => [name, id]))
  for (const { id, name, configFrom } of networks) {
    const needed = configFrom && configurations.get(configFrom)
    if (needed && decisions.get(id)?.action === 'keep')
      decisions.set(needed, keep('in-use', `network ${name} is made from it`))
  }
  return decisions
}

function decide(
  network: Network,
  { staying, all }: { staying: Needs; all: Needs },
  context: Context
): Decision {
  const { policy, now } = context
  const label = context.protectedBy(network.labels)
  if (builtIn.has(network.name) || network.ingress)
    return keep('built-in', 'made by Docker itself')
  const users = usersOfNetwork(network, staying)
  if (users.length > 0)
    return keep('in-use', `used by ${describeUsers(users, now)}`)
  if (network.containers.length > 0)
    return keep('in-use', 'a running container is on it')
  if (network.scope === 'swarm')
    return keep('in-use', 'a network of the swarm: other nodes may need it')
  if (label !== undefined) return keep('protected-label', label)
  if (!policy.includeNetworks)
    return keep('not-included', 'include-networks is false')
  const age = ageOfNetwork(network, usersOfNetwork(network, all), now)
  return (
    keepForAge(age, context, network) ?? remove('expired', describeAge(age))
  )
}
