import type { z } from 'zod'
import type { Container, Engine, Inventory } from '../model/inventory.ts'
import type { Docker } from './cli.ts'
import { succeed } from './errors.ts'
import { inspectTwice } from './inspect.ts'
import { asRows, readJsonLines } from './json.ts'
import { containerLs, listIds, readIds } from './listing.ts'
import { readNeeds } from './needs.ts'
import { markPods } from './podman.ts'
import { containerSchema, listedContainerSchema } from './schemas.ts'
import { traitsOf } from './traits.ts'

/** Only IDs: for all fields the engine would measure each container. */
const containerIds = [...containerLs, '--format', '{{json .ID}}']

/** Milliseconds from the date of a container until it is listed, at most. */
const longestCreation = 5 * 60_000

/** Neither the listing of a container nor the spec of a service has these. */
export const unknownParts = {
  createdAt: undefined,
  startedAt: undefined,
  finishedAt: undefined,
  restartPolicy: '',
  autoRemove: false,
  restarts: 0,
  labels: {},
  joins: [],
  execs: undefined
} satisfies Partial<Container>

export async function listContainers(
  docker: Docker,
  engine: Engine
): Promise<Container[]> {
  const ids = await listIds(docker, containerIds)
  return inspectContainers(docker, engine, ids)
}

/** Lists containers again, inspecting only new and `changing` ones: only networks and states change. */
export async function listContainersAgain(
  docker: Docker,
  {
    engine,
    containers
  }: Pick<Inventory, 'engine'> & { containers: readonly Container[] },
  {
    changing,
    gone
  }: { changing: (id: string) => boolean; gone: (id: string) => boolean }
): Promise<Container[]> {
  const known = containers.filter(({ id }) => !gone(id))
  const { ids, all } = await listContainerIdsAgain(docker, engine, known)
  const listed = new Set(ids)
  const left = known.filter(({ id }) => !all || listed.has(id))
  // Pods show only when all their containers are inspected together.
  const asked = left.filter(
    ({ id }) => engine.kind === 'podman' || changing(id)
  )
  const same = left.filter((one) => !asked.includes(one))
  for (const { id } of same) listed.delete(id)
  const found = await inspectContainers(docker, engine, [
    ...new Set([...listed, ...asked.map(({ id }) => id)])
  ])
  return [...same, ...found]
}

/** The IDs of all containers; where listing is slow, only of those created since. */
async function listContainerIdsAgain(
  docker: Docker,
  engine: Engine,
  known: readonly Container[]
): Promise<{ ids: string[]; all: boolean }> {
  // A container that was being created during the listing may be older than the newest one listed.
  const settled = known.filter(
    ({ createdAt = 0 }) => createdAt <= engine.now - longestCreation
  )
  const age = ({ createdAt = 0 }: Container) => -createdAt
  const newest = settled.toSorted((a, b) => age(a) - age(b))[0]
  if (traitsOf(engine).findsImagesSlowly && newest !== undefined) {
    const args = [...containerIds, '--filter', `since=${newest.id}`]
    const { exitCode, stdout } = await docker(args)
    // Fails if the newest container has been removed meanwhile.
    if (exitCode === 0) return { ids: readIds(stdout, args), all: false }
  }
  return { ids: await listIds(docker, containerIds), all: true }
}

export async function inspectContainers(
  docker: Docker,
  { kind }: Engine,
  ids: readonly string[]
): Promise<Container[]> {
  const inspected = await inspectTwice(
    docker,
    'container',
    ids,
    containerSchema
  )
  const others = await Promise.all(
    inspected.unreadable.map((id) => readFromListing(docker, id))
  )
  const found = inspected.found.map(readContainer)
  return [...(kind === 'podman' ? markPods(found) : found), ...others.flat()]
}

function readContainer(raw: z.output<typeof containerSchema>): Container {
  const { State: state, Config: config } = raw
  return {
    id: raw.Id,
    name: raw.Name.replace(/^\//, '') || raw.Id,
    state: state?.Status ?? '',
    createdAt: raw.Created,
    startedAt: state?.StartedAt,
    finishedAt: state?.FinishedAt,
    restartPolicy: raw.HostConfig?.RestartPolicy?.Name ?? '',
    autoRemove: raw.HostConfig?.AutoRemove ?? false,
    restarts: raw.RestartCount,
    labels: config?.Labels ?? {},
    image: raw.Image,
    imageReference: config?.Image ?? '',
    ...readNeeds(raw),
    execs: raw.ExecIDs === null ? [] : raw.ExecIDs
  }
}

/** A container that cannot be inspected, such as one that has been `removing` for days, is kept with all it needs. */
async function readFromListing(
  docker: Docker,
  id: string
): Promise<Container[]> {
  const fields = asRows('Names', 'State', 'Image', 'Networks', 'Mounts')
  const args = [...containerLs, '--filter', `id=${id}`, ...fields]
  const { stdout } = succeed(await docker(args), 'container ls')
  return readJsonLines(stdout, listedContainerSchema, 'container ls').map(
    ([names, state, image, networks, mounts]) => ({
      ...unknownParts,
      id,
      name: names || id,
      unreadable: true,
      state,
      image,
      imageReference: image,
      mountedImages: mounts.split(','),
      networks: networks.split(','),
      volumes: mounts.split(','),
      binds: mounts.split(',')
    })
  )
}
