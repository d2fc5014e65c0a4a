import type { z } from 'zod'
import type { Container, Engine } from '../model/inventory.ts'
import type { Docker } from './cli.ts'
import { unknownParts } from './containers.ts'
import { readJson } from './json.ts'
import { serviceSchema } from './schemas.ts'

type Service = z.output<typeof serviceSchema>

/**
 * The swarm's services, as containers that need what their spec and the previous one (for a rollback) name (F40).
 * Undefined on a worker, and while the managers have no leader.
 */
export async function listServices(
  docker: Docker,
  { swarm }: Engine
): Promise<Container[] | undefined> {
  if (swarm === 'none') return []
  // Retried if a service is removed between the two calls.
  for (let tries = 0; swarm === 'manager' && tries < 3; tries += 1) {
    const { exitCode, stdout } = await docker(['service', 'ls', '--quiet'])
    if (exitCode !== 0) return undefined
    const ids = stdout.split('\n').filter(Boolean)
    if (ids.length === 0) return []
    const output = await docker(['service', 'inspect', '--', ...ids])
    if (output.exitCode === 0)
      return readJson(
        output.stdout,
        serviceSchema.array(),
        'service inspect'
      ).map(readService)
  }
  return undefined
}

function readService({ ID, Spec, PreviousSpec, Endpoint }: Service): Container {
  const specs = [Spec, ...(PreviousSpec ? [PreviousSpec] : [])]
  const tasks = specs.flatMap(({ TaskTemplate }) => TaskTemplate ?? [])
  const containers = tasks.flatMap(({ ContainerSpec }) => ContainerSpec ?? [])
  const images = containers.flatMap(({ Image }) => namesOfImage(Image))
  const mounts = containers.flatMap(({ Mounts }) => Mounts)
  const sources = (type: string) =>
    mounts.filter(({ Type }) => Type === type).map(({ Source }) => Source)
  const networks = [...specs, ...tasks].flatMap(({ Networks }) =>
    Networks.map(({ Target }) => Target)
  )
  return {
    ...unknownParts,
    id: ID,
    name: Spec.Name || ID,
    service: true,
    state: 'of the swarm',
    image: '',
    imageReference: '',
    mountedImages: [...images, ...sources('image')],
    networks: [
      ...networks,
      ...(Endpoint?.VirtualIPs ?? []).map(({ NetworkID }) => NetworkID)
    ],
    volumes: sources('volume'),
    binds: sources('bind')
  }
}

/** `web:1@sha256:…` once the swarm has asked a registry: needs that digest, and the image loaded under that tag. */
function namesOfImage(image: string): string[] {
  const [tag = '', digest] = image.split('@')
  const repository = tag.replace(/:[^:/]+$/, '')
  return digest === undefined ? [tag] : [tag, `${repository}@${digest}`]
}
