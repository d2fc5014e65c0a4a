import type { Container, Image, Labels } from './inventory.ts'
import { canonical, namesOf, parseReference } from './references.ts'

const running = new Set([
  'running',
  'paused',
  'restarting',
  // Podman, for a moment after the end: it may start again.
  'stopped'
])

/** Whether a container uses what it needs at this moment. */
export function isRunning({ state }: Container): boolean {
  return running.has(state)
}

const removable = new Set(['created', 'exited', 'dead'])

/** Whether a container can be removed without stopping it. */
export function isRemovable({ state }: Container): boolean {
  return removable.has(state)
}

/** Whether a swarm made it, to run a service. */
export function isSwarmTask({ labels }: Pick<Container, 'labels'>): boolean {
  return 'com.docker.swarm.task.id' in labels
}

/** The containers that need each resource, by its key. */
export type Needs = {
  images: Map<string, Container[]>
  /** By name and by ID. */
  networks: Map<string, Container[]>
  volumes: Map<string, Container[]>
  binds: Map<string, Container[]>
  /** By ID. */
  containers: Map<string, Container[]>
}

/** The needs of the staying containers, and those of all containers. */
export type NeedsBoth = { staying: Needs; all: Needs }

/**
 * Collects what the containers need to run or to start again, whatever their state: their image and those that they
 * mount, networks, volumes, and other containers. Names are looked up among `all`.
 */
export function needsOf(
  containers: readonly Container[],
  all: { containers: readonly Container[]; images: readonly Image[] }
): Needs {
  const findImages = imageFinder(all.images)
  const findContainers = containerFinder(all.containers)
  const needs: Needs = {
    images: new Map(),
    networks: new Map(),
    volumes: new Map(),
    binds: new Map(),
    containers: new Map()
  }
  for (const container of containers) {
    const byId = findImages(container.image)
    const images = byId.length > 0 ? byId : findImages(container.imageReference)
    add(
      needs.images,
      [...images, ...container.mountedImages.flatMap(findImages)],
      container
    )
    add(needs.networks, container.networks, container)
    add(needs.volumes, container.volumes, container)
    add(needs.binds, container.binds, container)
    add(needs.containers, findContainers(container), container)
  }
  return needs
}

function add(
  users: Map<string, Container[]>,
  keys: readonly string[],
  container: Container
): void {
  for (const key of new Set(keys)) {
    const known = users.get(key)
    if (known === undefined) users.set(key, [container])
    else known.push(container)
  }
}

/**
 * Finds the IDs of the images that a name may mean now: a reference, an ID, or the start of one. On the containerd store
 * a digest is an ID. If the name is ambiguous, all matches count.
 */
export function imageFinder(
  images: readonly Image[]
): (name: string) => string[] {
  return (name) => {
    const { ids, known } = indexImages(images)
    const exact = known.get(name) ?? known.get(canonical(name)) ?? []
    const { digest } = parseReference(name)
    const start = /^(?:sha256:)?([0-9a-f]{4,64})$/.exec(name)?.[1]
    const found = [
      ...exact,
      ...(known.get(digest ?? '') ?? []),
      ...(start && !exact.includes(name)
        ? ids.filter((id) => id.startsWith(`sha256:${start}`))
        : [])
    ]
    return [...new Set(found)]
  }
}

type ImageIndex = {
  ids: readonly string[]
  /** IDs of images by their ID and by each of their names. */
  known: ReadonlyMap<string, readonly string[]>
}

/** The second looks search the same list again and again. */
const indexes = new WeakMap<readonly Image[], ImageIndex>()

function indexImages(images: readonly Image[]): ImageIndex {
  const made = indexes.get(images)
  if (made !== undefined) return made
  const known = new Map(images.map(({ id }) => [id, [id]]))
  for (const image of images)
    for (const name of namesOf(image).map(canonical)) {
      const found = known.get(name)
      if (found === undefined) known.set(name, [image.id])
      else found.push(image.id)
    }
  const index = { ids: images.map(({ id }) => id), known }
  indexes.set(images, index)
  return index
}

/**
 * Finds the IDs of the containers that one needs: those that it names by name, ID or the start of an ID; and those of
 * the services in its compose project that it depends on. Compose waits for these at the next start, also for services
 * that run once.
 */
export function containerFinder(
  containers: readonly Container[]
): (container: Container) => string[] {
  const ids = new Map([
    ...containers.map(({ id, name }) => [name, id] as const),
    ...containers.map(({ id }) => [id, id] as const)
  ])
  // No service needs the containers of "compose run".
  const ofServices = containers.filter(
    ({ labels }) => labels[`${compose}.oneoff`] !== 'True'
  )
  const services = Map.groupBy(ofServices, ({ labels }) =>
    serviceKey(labels, labels[`${compose}.service`])
  )
  const startingWith = (start: string) =>
    /^[0-9a-f]+$/.test(start)
      ? [...ids.values()].filter((id) => id.startsWith(start))
      : []
  const dependencies = ({ id, labels }: Container) =>
    // "db:service_healthy:true,migrate:service_completed_successfully:false"
    (labels[`${compose}.depends_on`] ?? '')
      .split(',')
      .map((one) => serviceKey(labels, one.split(':')[0]))
      .flatMap((key) => (key === undefined ? [] : (services.get(key) ?? [])))
      .map((one) => one.id)
      .filter((other) => other !== id)
  return (container) => [
    ...container.joins.flatMap((name) => ids.get(name) ?? startingWith(name)),
    ...dependencies(container)
  ]
}

const compose = 'com.docker.compose'

export function composeProject({ labels }: Container): string | undefined {
  return labels[`${compose}.project`]
}

function serviceKey(labels: Labels, service?: string): string | undefined {
  const project = labels[`${compose}.project`]
  return project && service ? `${project} ${service}` : undefined
}
