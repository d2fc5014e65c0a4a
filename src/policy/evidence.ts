import { happened, plausible, type Evidence } from './age.ts'
import { isBuilder } from './builders.ts'
import type { EngineEvent, Image, Inventory } from '../model/inventory.ts'
import { parseReference, repositoryOf } from '../model/patterns.ts'
import { imageFinder } from '../model/needs.ts'

/** What the event log and the ledger show of images, networks and builders (by ID) and of volumes (by name). */
export type EvidenceIndex = {
  /** Of one with a `date` on which it came or later, it makes no difference when it was first seen. */
  of: (id: string, date?: number) => readonly Evidence[]
  /** The oldest event: what is in no later one has not happened since. Undefined where that does not hold. */
  logBegan: number | undefined
  /** Whether an event of the log has the name of a repository: it may be about what another image has by now. */
  isNamed: (repository: string) => boolean
  /** Since when an earlier run has known of something. */
  watchedSince: (id: string) => number | undefined
  /** Whether an earlier run has looked, and has not seen it: it came since. */
  isNew: (id: string) => boolean
  /** Whether what this run sees will be remembered. */
  remembers: boolean
}

/** What an image has been through, by the action of the event. Untagging and removal are no use. */
const imageActions: Record<string, string> = {
  build: 'built',
  // A build without a tag, also one that came to an image which was there already.
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

/** Sorts what is known from before by what it is evidence for. */
export function indexEvidence(inventory: Inventory): EvidenceIndex {
  const { engine, events, ledger, remembers } = inventory
  const inLog = usesInLog(inventory)
  const entries = new Map(ledger?.map((entry) => [entry.id, entry]))
  const times = events.map(({ at }) => at)
  const named = new Set(
    events.flatMap(({ type, id, image }) =>
      [type === 'image' ? id : '', image].filter(Boolean).map(repositoryOf)
    )
  )
  return {
    of: (id, date) => {
      const { since, arrived, usedAt } = entries.get(id) ?? {}
      // Of what was there at the first look, nobody knows since when.
      const came = arrived && happened(date) === undefined ? since : undefined
      return [
        ...inLog(id),
        { at: usedAt, of: 'seen in use' },
        { at: came, of: 'first seen' }
      ]
    },
    // Other tools fill Podman's store as well (buildah, skopeo), and its log knows nothing of that.
    logBegan:
      engine.kind === 'podman'
        ? undefined
        : plausible(
            times.reduce((a, b) => Math.min(a, b), Infinity),
            engine.now
          ),
    isNamed: (repository) => named.has(repository),
    watchedSince: (id) => entries.get(id)?.since,
    isNew: (id) => ledger !== undefined && !entries.has(id),
    remembers
  }
}

/** What the engine's event log shows of the use of things, by their ID or name. */
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

/**
 * The IDs of all images of a repository by its name alone, with which `pull --all-tags` is in the log, once for all of
 * them. That of `latest` is there with its tag.
 */
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
  images: readonly Image[],
  imageOf: ReadonlyMap<string, string>
): { ids: string[]; of: string } {
  const nothing = { ids: [], of: '' }
  const findImages = imageFinder(images)
  if (type === 'image') {
    const of = imageActions[action]
    if (of === undefined) return nothing
    // Of a pull or a push the ID is the reference.
    const ids = new Set([...findImages(id), ...findAllOf(images, id)])
    return { ids: [...ids], of }
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
