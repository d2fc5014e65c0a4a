import type { z } from 'zod'
import type { Docker } from './cli.ts'
import { succeed } from './errors.ts'
import { inspectTwice } from './inspect.ts'
import { readJsonLines } from './json.ts'
import { listIds, readIds } from './listing.ts'
import { readNeeds } from './needs.ts'
import { markPods } from './podman.ts'
import { containerSchema, listedContainerSchema } from './schemas.ts'
import { traitsOf } from './traits.ts'
import type { Container, Engine, Inventory } from '../model/inventory.ts'

export const listAllContainers = [
  'container',
  'ls',
  '--all',
  '--no-trunc'
] as const

/** All containers, in every state. */
export async function listContainers(
  docker: Docker,
  engine: Engine
): Promise<Container[]> {
  const ids = await listIds(docker, listContainerIds)
  return inspectContainers(docker, engine, ids)
}

/**
 * All containers again, but for those that are `gone`: only those that came since the inventory and the `changing` ones
 * are asked for. Which image, volumes and other containers one needs is fixed when it is made; its networks and its
 * state are not.
 */
export async function listContainersAgain(
  docker: Docker,
  { engine, containers }: Inventory,
  {
    changing,
    gone
  }: { changing: (id: string) => boolean; gone: (id: string) => boolean }
): Promise<Container[]> {
  const known = containers.filter(({ id }) => !gone(id))
  const { ids, all } = await listContainerIdsAgain(docker, engine, known)
  const listed = new Set(ids)
  const left = known.filter(({ id }) => !all || listed.has(id))
  // Whether one is part of a pod, only all of them together tell.
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

/** `ls` prints only IDs: with all it knows it would have the engine measure each. */
const listContainerIds = [
  ...listAllContainers,
  '--format',
  '{{json .ID}}'
] as const

/** Milliseconds from the date of a container to the moment from which on it is listed, at the most. */
const longestCreation = 5 * 60_000

/** The IDs of all containers; or only of those that have come since, where the listing takes long. */
async function listContainerIdsAgain(
  docker: Docker,
  engine: Engine,
  known: readonly Container[]
): Promise<{ ids: string[]; all: boolean }> {
  // One that was being made during the listing may be older than the newest that it showed.
  const settled = known.filter(
    ({ createdAt = 0 }) => createdAt <= engine.now - longestCreation
  )
  const age = ({ createdAt = 0 }: Container) => -createdAt
  const newest = settled.toSorted((a, b) => age(a) - age(b))[0]
  if (traitsOf(engine).findsImagesSlowly && newest !== undefined) {
    const args = [...listContainerIds, '--filter', `since=${newest.id}`]
    const { exitCode, stdout } = await docker(args)
    // It fails where that one is gone meanwhile.
    if (exitCode === 0) return { ids: readIds(stdout, args), all: false }
  }
  return { ids: await listIds(docker, listContainerIds), all: true }
}

async function inspectContainers(
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

/**
 * What the listing tells of a container that cannot be inspected (one that is being removed may be so for days). It
 * is in no state that may be removed, and what it needs stays.
 */
async function readFromListing(
  docker: Docker,
  id: string
): Promise<Container[]> {
  const fields = ['Names', 'State', 'Image', 'Networks', 'Mounts']
  const format = `[${fields.map((field) => `{{json .${field}}}`).join(',')}]`
  const args = [
    ...listAllContainers,
    '--filter',
    `id=${id}`,
    '--format',
    format
  ]
  const { stdout } = succeed(await docker(args), 'container ls')
  return readJsonLines(stdout, listedContainerSchema, 'container ls').map(
    ([names, state, image, networks, mounts]) => ({
      id,
      name: names || id,
      unreadable: true,
      state,
      createdAt: undefined,
      startedAt: undefined,
      finishedAt: undefined,
      restarts: 0,
      labels: {},
      image,
      imageReference: image,
      mountedImages: mounts.split(','),
      networks: networks.split(','),
      volumes: mounts.split(','),
      binds: mounts.split(','),
      joins: [],
      execs: undefined
    })
  )
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
    restarts: raw.RestartCount,
    labels: config?.Labels ?? {},
    image: raw.Image,
    imageReference: config?.Image ?? '',
    ...readNeeds(raw),
    execs: raw.ExecIDs === null ? [] : raw.ExecIDs
  }
}
