import { isBuilder } from './builders.ts'
import type { EngineEvent, Image, Inventory } from './inventory.ts'
import { imageFinder } from './needs.ts'
import { parseReference, repositoryOf } from './references.ts'

/** Evidence that a resource was in use at an instant (milliseconds since 1970). */
export type Evidence = { at: number | undefined; of: string }

/** Finds the uses of a resource in the engine's event log, by its ID or name. */
export function usesInLog(
  inventory: Inventory
): (id: string) => readonly Evidence[] {
  const found = new Map<string, Evidence[]>()
  const imageOf = new Map(
    inventory.containers.map(({ id, image }) => [id, image])
  )
  const builders = new Set(
    inventory.containers.filter(isBuilder).map(({ id }) => id)
  )
  for (const event of inventory.events) {
    const { ids, of } = isClient(event, builders)
      ? { ids: [event.id], of: 'used by a client' }
      : readEvent(event, inventory.images, imageOf)
    for (const id of ids)
      found.set(id, [...(found.get(id) ?? []), { at: event.at, of }])
  }
  return (id) => found.get(id) ?? []
}

/** How each action on an image reads as evidence. Untagging and removal are no use. */
const imageActions: Record<string, string> = {
  build: 'built',
  // A build without a tag, even if its image existed.
  create: 'built',
  pull: 'pulled',
  load: 'loaded',
  import: 'imported',
  tag: 'tagged',
  push: 'pushed',
  save: 'saved'
}

const containerActions = new Set(['create', 'start', 'restart', 'die'])

const otherActions = new Set([
  'create',
  'mount',
  'unmount',
  'connect',
  'disconnect'
])

/** The IDs of all images of a repository: `pull --all-tags` logs its name alone, once. */
function findAllOf(images: readonly Image[], name: string): string[] {
  const { repository, tag, digest } = parseReference(name)
  if (tag !== undefined || digest !== undefined) return []
  return images
    .filter(({ references, digests }) =>
      [...references, ...digests].some(
        (one) => repositoryOf(one) === repository
      )
    )
    .map(({ id }) => id)
}

function isClient(
  { type, action, id }: EngineEvent,
  builders: ReadonlySet<string>
): boolean {
  return type === 'container' && /^exec_/.test(action) && builders.has(id)
}

/** Which resources an event shows in use, and how. */
function readEvent(
  { type, action, id, image }: EngineEvent,
  images: readonly Image[],
  imageOf: ReadonlyMap<string, string>
): { ids: string[]; of: string } {
  const nothing = { ids: [], of: '' }
  const findImages = imageFinder(images)
  if (type === 'image') {
    const of = imageActions[action]
    if (of === undefined) return nothing
    // The ID of a pull or push is the reference.
    const ids = new Set([...findImages(id), ...findAllOf(images, id)])
    return { ids: [...ids], of }
  }
  const of = 'used by a container'
  if (type === 'container')
    return containerActions.has(action)
      ? { ids: findImages(imageOf.get(id) ?? image), of }
      : nothing
  return otherActions.has(action)
    ? { ids: [id], of: action === 'create' ? 'created' : of }
    : nothing
}
