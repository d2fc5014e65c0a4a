import type { Docker } from '../docker/cli.ts'
import { inspectContainers } from '../docker/containers.ts'
import { listServices } from '../docker/services.ts'
import { type EventReading, eventReader } from '../model/events.ts'
import {
  byKey,
  type Container,
  type EngineEvent,
  type Image,
  type Inventory
} from '../model/inventory.ts'
import { needsOf } from '../model/needs.ts'
import { findStranger, type SecondLook } from './secondLook.ts'

/** What others have changed since the listing, by the engine's events. */
export type Changes = {
  inventory: Inventory
  readEvent: (event: EngineEvent) => EventReading
  /** What events have spoken of since it was last looked at. */
  spoken: Set<string>
  /** The uses of each, in words, with the container or image behind them. */
  uses: Map<string, { use: string; by: string }[]>
  /** Containers to inspect, as they may need more than before. */
  needy: Set<string>
  /** All containers with their needs, by ID. */
  containers: Map<string, Container>
  services: Container[]
  servicesChanged: boolean
  inspecting: Promise<void> | undefined
}

export function createChanges(inventory: Inventory): Changes {
  return {
    inventory,
    readEvent: eventReader(inventory),
    spoken: new Set(),
    uses: new Map(),
    needy: new Set(),
    containers: byKey(inventory.containers, ({ id }) => id),
    services: inventory.services ?? [],
    servicesChanged: false,
    inspecting: undefined
  }
}

/** Notes what an event by others means. */
export function noteEvent(changes: Changes, event: EngineEvent): EventReading {
  const reading = changes.readEvent(event)
  const { subjects, used, use, needy } = reading
  for (const id of subjects) changes.spoken.add(id)
  const by = event.container || event.id
  for (const id of used)
    changes.uses.set(id, [...(changes.uses.get(id) ?? []), { use, by }])
  if (needy !== undefined) changes.needy.add(needy)
  if (event.type === 'service') changes.servicesChanged = true
  return reading
}

/** The latest use since the listing. The end of a container that this run stops is no use of what it needs. */
export function usedSince(
  { uses }: Changes,
  id: string,
  isStopped: (id: string) => boolean
): string | undefined {
  return uses.get(id)?.findLast(({ by }) => !isStopped(by))?.use
}

/** Finds out what new and changed containers and services need. */
export async function inspectNeedy(
  changes: Changes,
  docker: Docker
): Promise<void> {
  // Batches side by side wait for the same inspection.
  if (changes.inspecting !== undefined) await changes.inspecting
  const { needy, servicesChanged, inspecting } = changes
  if (needy.size === 0 && !servicesChanged && !inspecting) return
  changes.inspecting ??= inspectOnce(changes, docker).finally(() => {
    changes.inspecting = undefined
  })
  await changes.inspecting
}

async function inspectOnce(changes: Changes, docker: Docker): Promise<void> {
  const { needy, containers, inventory } = changes
  if (changes.servicesChanged) {
    changes.servicesChanged = false
    const services = await listServices(docker, inventory.engine)
    if (services === undefined) changes.servicesChanged = true
    else changes.services = services
  }
  const ids = [...needy]
  needy.clear()
  try {
    const found = await inspectContainers(docker, inventory.engine, ids)
    for (const id of ids) containers.delete(id)
    for (const container of found) {
      containers.set(container.id, container)
      // It is inspected again the next time.
      if (container.unreadable) needy.add(container.id)
    }
  } catch (error) {
    for (const id of ids) needy.add(id)
    throw error
  }
}

/** What the events leave of the listing: everything that they have not spoken of is as it was. */
export function lookFromEvents(
  changes: Changes,
  ids: readonly string[],
  {
    isGone,
    isStopped,
    takenOff
  }: {
    isGone: (id: string) => boolean
    isStopped: (id: string) => boolean
    takenOff: (id: string) => readonly string[]
  }
): SecondLook {
  const { inventory, services } = changes
  const { engine, images, volumes } = inventory
  const containers = [...changes.containers.values()].filter(
    ({ id }) => !isGone(id)
  )
  const asked = new Set(ids)
  const withoutTakenOff = (image: Image) => {
    const off = takenOff(image.id)
    const references = image.references.filter((one) => !off.includes(one))
    return { ...image, references }
  }
  return {
    now: engine.now,
    needs: needsOf([...containers, ...services], { containers, images }),
    containers: byKey(containers, ({ id }) => id),
    // The engine is always asked about these.
    networks: new Map(),
    images: byKey(
      images.filter(({ id }) => asked.has(id)).map(withoutTakenOff),
      ({ id }) => id
    ),
    volumes: byKey(
      volumes.filter(({ name }) => asked.has(name)),
      ({ name }) => name
    ),
    usedSince: (id) => usedSince(changes, id, isStopped),
    isUnreadable: () => false,
    stranger: findStranger(inventory, containers)
  }
}
