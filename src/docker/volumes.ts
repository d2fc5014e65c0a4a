import type { Docker } from './cli.ts'
import { DockerError } from './errors.ts'
import { inspect, type Inspected } from './inspect.ts'
import { listIds } from './listing.ts'
import { volumeSchema } from './schemas.ts'
import type { Volume } from '../model/inventory.ts'

/** All volumes; undefined where that takes longer than `limit`: a volume plugin that is dead or hangs holds it (F44). */
export async function listVolumes(
  docker: Docker,
  limit: number | undefined
): Promise<Inspected<Volume> | undefined> {
  const args = ['volume', 'ls', '--format', '{{json .Name}}']
  const options = limit === undefined ? {} : { limit }
  try {
    return await inspectVolumes(docker, await listIds(docker, args, options))
  } catch (error) {
    const late = error instanceof DockerError && error.kind === 'no-answer'
    if (late && limit !== undefined) return undefined
    throw error
  }
}

/** Inspects volumes by name. */
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
