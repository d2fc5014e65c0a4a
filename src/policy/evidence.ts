import { plausible, type Evidence } from './age.ts'
import { isBuilder } from './builders.ts'
import type { EngineEvent, Inventory } from './inventory.ts'
import { imageFinder } from './needs.ts'

/** What the event log and the ledger show of images, networks and builders (by ID) and of volumes (by name). */
export type EvidenceIndex = {
  of: (id: string) => readonly Evidence[]
  /** The oldest event: what is in no later one has not happened since. Undefined where that does not hold. */
  logBegan: number | undefined
  /** Since when an earlier run has known of something. */
  watchedSince: (id: string) => number | undefined
  /** Whether what this run sees will be remembered. */
  remembers: boolean
}

/** What an image has been through, by the action of the event. Untagging and removal are no use. */
const imageActions: Record<string, string> = {
  build: 'built',
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

/** Sorts what is known from before by what it is evidence for. */
export function indexEvidence(inventory: Inventory): EvidenceIndex {
  const { engine, events, ledger, remembers } = inventory
  const inLog = usesInLog(inventory)
  const entries = new Map(ledger?.map((entry) => [entry.id, entry]))
  const times = events.map(({ at }) => at)
  return {
    of: (id) => {
      const { since, arrived, usedAt } = entries.get(id) ?? {}
      return [
        ...inLog(id),
        { at: usedAt, of: 'seen in use' },
        // Of what was there at the first look, nobody knows since when.
        { at: arrived ? since : undefined, of: 'first seen' }
      ]
    },
    // Other tools fill Podman's store as well (buildah, skopeo), and its log knows nothing of that.
    logBegan:
      engine.kind === 'podman'
        ? undefined
        : plausible(times.reduce((a, b) => Math.min(a, b), Infinity)),
    watchedSince: (id) => entries.get(id)?.since,
    remembers
  }
}

/** What the engine's event log shows of the use of things, by their ID or name. */
export function usesInLog(
  inventory: Inventory
): (id: string) => readonly Evidence[] {
  const found = new Map<string, Evidence[]>()
  const findImages = imageFinder(inventory.images)
  const imageOf = new Map(
    inventory.containers.map(({ id, image }) => [id, image])
  )
  const builders = new Set(
    inventory.containers.filter(isBuilder).map(({ id }) => id)
  )
  for (const event of inventory.events) {
    const { ids, of } = isClient(event, builders)
      ? { ids: [event.id], of: 'used by a client' }
      : readEvent(event, findImages, imageOf)
    for (const id of ids)
      found.set(id, [...(found.get(id) ?? []), { at: event.at, of }])
  }
  return (id) => found.get(id) ?? []
}

/** A build talks to its builder through a process in the container. */
function isClient(
  { type, action, id }: EngineEvent,
  builders: ReadonlySet<string>
): boolean {
  return type === 'container' && /^exec_/.test(action) && builders.has(id)
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
