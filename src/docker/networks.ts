import type { Docker } from './cli.ts'
import { inspect, type Inspected } from './inspect.ts'
import { listIds } from './listing.ts'
import { networkSchema } from './schemas.ts'
import type { Engine, Network } from '../model/inventory.ts'

export async function listNetworks(
  docker: Docker,
  engine: Engine
): Promise<Inspected<Network>> {
  const args = ['network', 'ls', '--no-trunc', '--format', '{{json .ID}}']
  return inspectNetworks(docker, engine, await listIds(docker, args))
}

/** Inspects networks by ID. */
export async function inspectNetworks(
  docker: Docker,
  { kind }: Engine,
  ids: readonly string[]
): Promise<Inspected<Network>> {
  const inspected = await inspect(docker, 'network', ids, networkSchema)
  const found = inspected.found.map((raw) => ({
    id: raw.Id,
    name: raw.Name,
    scope: raw.Scope,
    createdAt: raw.Created,
    labels: raw.Labels,
    ingress: raw.Ingress,
    configFrom: raw.ConfigFrom?.Network || undefined,
    // Podman 4 lists stopped ones, too; it removes no network that any container has.
    containers: kind === 'podman' ? [] : raw.Containers
  }))
  return { ...inspected, found }
}
