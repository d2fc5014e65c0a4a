import { z } from 'zod'
import type { Container, Engine } from '../model/inventory.ts'
import type { Docker } from './cli.ts'
import { readJson } from './json.ts'
import { serviceSchema } from './schemas.ts'

/**
 * The services of the swarm that the engine manages, as the policy takes them: they need what their spec and their
 * previous one (for a rollback) name, whether a task of them runs here or not (F40). None without a swarm; undefined
 * where the engine cannot tell: on a worker, and while the managers have no leader.
 */
export async function listServices(
  docker: Docker,
  { swarm }: Engine
): Promise<Container[] | undefined> {
  if (swarm === 'none') return []
  // One may be removed between the two calls: then the next listing has it no more.
  for (let tries = 0; swarm === 'manager' && tries < 3; tries += 1) {
    const { exitCode, stdout } = await docker(['service', 'ls', '--quiet'])
    if (exitCode !== 0) return undefined
    const ids = stdout.split('\n').filter(Boolean)
    if (ids.length === 0) return []
    const output = await docker(['service', 'inspect', '--', ...ids])
    if (output.exitCode === 0)
      return readJson(
        output.stdout,
        z.array(serviceSchema),
        'service inspect'
      ).map(readService)
  }
  return undefined
}

type Service = z.output<typeof serviceSchema>

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
    id: ID,
    name: Spec.Name || ID,
    service: true,
    state: 'of the swarm',
    createdAt: undefined,
    startedAt: undefined,
    finishedAt: undefined,
    restarts: 0,
    labels: {},
    image: '',
    imageReference: '',
    mountedImages: [...images, ...sources('image')],
    networks: [
      ...networks,
      ...(Endpoint?.VirtualIPs ?? []).map(({ NetworkID }) => NetworkID)
    ],
    volumes: sources('volume'),
    binds: sources('bind'),
    joins: [],
    execs: undefined
  }
}

/** `web:1@sha256:…` once a registry was asked: that digest is needed, and what was loaded under the tag. */
function namesOfImage(image: string): string[] {
  const [tag = '', digest] = image.split('@')
  const repository = tag.replace(/:[^:/]+$/, '')
  return digest === undefined ? [tag] : [tag, `${repository}@${digest}`]
}
