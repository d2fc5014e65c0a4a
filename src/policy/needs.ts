import { formatDuration } from '../units.ts'
import { plausible } from './age.ts'
import type { Container, Image, Network, Volume } from './inventory.ts'
import { parseReference } from './match.ts'

/** What some containers cannot do without: the key of each resource, and the containers that need it. */
export type Needs = {
  images: Map<string, Container[]>
  /** By name and by ID. */
  networks: Map<string, Container[]>
  volumes: Map<string, Container[]>
  binds: Map<string, Container[]>
  /** By ID. */
  containers: Map<string, Container[]>
}

/**
 * Collects what the containers need to run or to start again, in whatever state they are: their image and the images
 * that they mount, networks, volumes, and the containers that they join.
 */
export function needsOf(
  containers: readonly Container[],
  all: { containers: readonly Container[]; images: readonly Image[] }
): Needs {
  const findImage = imageFinder(all.images)
  const findContainer = containerFinder(all.containers)
  const needs: Needs = {
    images: new Map(),
    networks: new Map(),
    volumes: new Map(),
    binds: new Map(),
    containers: new Map()
  }
  for (const container of containers) {
    const image =
      findImage(container.image) ?? findImage(container.imageReference)
    const mounted = container.mountedImages.map(findImage)
    add(needs.images, [image, ...mounted], container)
    add(needs.networks, container.networks, container)
    add(needs.volumes, container.volumes, container)
    add(needs.binds, container.binds, container)
    add(needs.containers, container.joins.map(findContainer), container)
  }
  return needs
}

function add(
  users: Map<string, Container[]>,
  keys: readonly (string | undefined)[],
  container: Container
): void {
  for (const key of new Set(keys)) {
    if (key === undefined) continue
    const known = users.get(key)
    if (known === undefined) users.set(key, [container])
    else known.push(container)
  }
}

/** Finds the ID of the image that an ID or a reference means now. */
function imageFinder(
  images: readonly Image[]
): (name: string) => string | undefined {
  const ids = new Map<string, string>()
  for (const { id, references } of images) {
    ids.set(id, id)
    for (const reference of references) ids.set(canonical(reference), id)
  }
  return (name) =>
    ids.get(name) ?? ids.get(`sha256:${name}`) ?? ids.get(canonical(name))
}

function canonical(reference: string): string {
  const { repository, tag, digest } = parseReference(reference)
  return digest === undefined
    ? `${repository}:${tag ?? 'latest'}`
    : `${repository}@${digest}`
}

function containerFinder(
  containers: readonly Container[]
): (name: string) => string | undefined {
  const ids = new Map<string, string>()
  for (const { id, name } of containers) {
    ids.set(name, id)
    ids.set(id, id)
  }
  return (name) => ids.get(name)
}

/** The containers that need a network, by its ID or, where they have never started, by its name. */
export function usersOfNetwork(network: Network, needs: Needs): Container[] {
  return [
    ...new Set([
      ...(needs.networks.get(network.id) ?? []),
      ...(needs.networks.get(network.name) ?? [])
    ])
  ]
}

/** The containers that use a volume: by its name, or by a bind of its folder on the host. */
export function usersOfVolume(volume: Volume, needs: Needs): Container[] {
  const users = new Set(needs.volumes.get(volume.name))
  if (volume.mountpoint !== '')
    for (const [folder, containers] of needs.binds)
      if (`${folder}/`.startsWith(`${volume.mountpoint}/`))
        for (const container of containers) users.add(container)
  return [...users]
}

/** Names the users for a sentence: `container web, stopped 3 h ago, and 2 more`. */
export function describeUsers(
  users: readonly Container[],
  now: number
): string {
  const [first] = users
  if (first === undefined) return 'nothing'
  const more = users.length > 1 ? `, and ${users.length - 1} more` : ''
  return `container ${first.name}, ${describeState(first, now)}${more}`
}

function describeState(container: Container, now: number): string {
  const finished = plausible(container.finishedAt)
  if (container.state === 'created') return 'never started'
  if (container.state !== 'exited' || finished === undefined)
    return container.state
  return `stopped ${formatDuration(Math.max(now - finished, 0))} ago`
}
