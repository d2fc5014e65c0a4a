import type { Volume } from '../model/inventory.ts'
import type { CallOptions, Docker } from './cli.ts'
import { DockerError } from './errors.ts'
import { inspect, type Inspected } from './inspect.ts'
import { listIds } from './listing.ts'
import { volumeSchema } from './schemas.ts'

/** All volumes; undefined if listing them takes longer than `limit`, as with a volume plugin that hangs (F44). */
export async function listVolumes(
  docker: Docker,
  limit: number | undefined
): Promise<Inspected<Volume> | undefined> {
  const options = limit === undefined ? {} : { limit }
  try {
    return await inspectVolumes(docker, await listVolumeNames(docker, options))
  } catch (error) {
    const late = error instanceof DockerError && error.kind === 'no-answer'
    if (late && limit !== undefined) return undefined
    throw error
  }
}

export function listVolumeNames(
  docker: Docker,
  options?: CallOptions
): Promise<string[]> {
  const args = ['volume', 'ls', '--format', '{{json .Name}}']
  return listIds(docker, args, options)
}

export async function inspectVolumes(
  docker: Docker,
  names: readonly string[]
): Promise<Inspected<Volume>> {
  const inspected = await inspect(docker, 'volume', names, volumeSchema)
  const found = inspected.found.map((raw) => ({
    name: raw.Name,
    driver: raw.Driver,
    createdAt: raw.CreatedAt,
    labels: raw.Labels,
    options: raw.Options,
    mountpoint: raw.Mountpoint
  }))
  return { ...inspected, found }
}
