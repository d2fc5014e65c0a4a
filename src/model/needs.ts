import type { Container, Image, Labels } from './inventory.ts'
import { canonical, namesOf, parseReference } from './references.ts'

/** States in which a container uses what it needs at this moment. */
const running = new Set([
  'running',
  'paused',
  'restarting',
  // Podman's word for what has just ended, and may be about to start again.
  'stopped'
])

export function isRunning({ state }: Container): boolean {
  return running.has(state)
}

/** Whether a swarm made it, to run a service. */
export function isSwarmTask({ labels }: Pick<Container, 'labels'>): boolean {
  return 'com.docker.swarm.task.id' in labels
}

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

/** What the staying containers need, and what all containers that there are do. */
export type NeedsBoth = { staying: Needs; all: Needs }

/**
 * Collects what the containers need to run or to start again, in whatever state they are: their image and the images
 * that they mount, networks, volumes, and the containers that they join. Names are looked up among `all`.
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
 * Finds the IDs of the images that a reference or an ID may mean now. Docker takes the start of an ID, too, and on the
 * containerd store a digest is an ID: where it could be several, all of them count.
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
  /** The IDs of the images by their own IDs and by their names in full. */
  known: ReadonlyMap<string, readonly string[]>
}

/** Every second look needs the index of the same list again. */
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
 * Finds the IDs of the containers that one needs: those that it names, by name, by ID or by the start of one as
 * somebody typed it; and those of the services in its compose project that it depends on, as compose waits for them at
 * the next start, also for what only ran once.
 */
export function containerFinder(
  containers: readonly Container[]
): (container: Container) => string[] {
  const ids = new Map([
    ...containers.map(({ id, name }) => [name, id] as const),
    ...containers.map(({ id }) => [id, id] as const)
  ])
  // What "compose run" leaves is of no use to others.
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

function serviceKey(labels: Labels, service?: string): string | undefined {
  const project = labels[`${compose}.project`]
  return project && service ? `${project} ${service}` : undefined
}
