import { plausible, type Evidence } from './age.ts'
import type { EngineEvent, Inventory } from './inventory.ts'
import { imageFinder } from './needs.ts'

/** What the engine's event log shows of the use of images and volumes (by ID and by name), and of networks (by ID). */
export type EvidenceIndex = {
  of: (id: string) => readonly Evidence[]
  /** The oldest event: what is in no later one has not happened since. */
  logBegan: number | undefined
}

/** What an image has been through, by the action of the event. Untagging and removal are no use. */
const imageActions: Record<string, string> = {
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

/** Sorts the events by what they are evidence for. */
export function indexEvidence(inventory: Inventory): EvidenceIndex {
  const found = new Map<string, Evidence[]>()
  const findImages = imageFinder(inventory.images)
  const imageOf = new Map(
    inventory.containers.map(({ id, image }) => [id, image])
  )
  for (const event of inventory.events) {
    const { ids, of } = readEvent(event, findImages, imageOf)
    for (const id of ids)
      found.set(id, [...(found.get(id) ?? []), { at: event.at, of }])
  }
  const times = inventory.events.map(({ at }) => at)
  return {
    of: (id) => found.get(id) ?? [],
    logBegan: plausible(times.reduce((a, b) => Math.min(a, b), Infinity))
  }
}

/** What was used by an event, and how. */
function readEvent(
  { type, action, id, image }: EngineEvent,
  findImages: (name: string) => string[],
  imageOf: ReadonlyMap<string, string>
): { ids: string[]; of: string } {
  const nothing = { ids: [], of: '' }
  if (type === 'image') {
    const of = imageActions[action]
    // Of a pull or a push the ID is the reference.
    return of === undefined ? nothing : { ids: findImages(id), of }
  }
  const of = 'last used by a container'
  if (type === 'container')
    return containerActions.has(action)
      ? { ids: findImages(imageOf.get(id) ?? image), of }
      : nothing
  return otherActions.has(action)
    ? { ids: [id], of: action === 'create' ? 'created' : of }
    : nothing
}
