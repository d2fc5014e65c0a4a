import type { Engine, Network } from '../model/inventory.ts'
import type { Docker } from './cli.ts'
import { inspect, type Inspected } from './inspect.ts'
import { listIds, networkLs } from './listing.ts'
import { networkSchema } from './schemas.ts'

export async function listNetworks(
  docker: Docker,
  engine: Engine
): Promise<Inspected<Network>> {
  const args = [...networkLs, '--format', '{{json .ID}}']
  return inspectNetworks(docker, engine, await listIds(docker, args))
}

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
    // Podman 4 lists stopped containers, too. It refuses to remove a network that any container has.
    containers: kind === 'podman' ? [] : raw.Containers
  }))
  return { ...inspected, found }
}
