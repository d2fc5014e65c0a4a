import { happened, plausible } from '../model/dates.ts'
import { type Evidence, usesInLog } from '../model/evidence.ts'
import type { Inventory } from '../model/inventory.ts'
import { repositoryOf } from '../model/references.ts'

/** The evidence in the event log and the ledger: of images, networks and builders by ID, of volumes by name. */
export type EvidenceIndex = {
  /** The `date` of an arrival outweighs the ledger's first sight. */
  of: (id: string, date?: number) => readonly Evidence[]
  /** The oldest event: what the log does not have happened before it. Undefined if that does not follow. */
  logBegan: number | undefined
  /** Whether an event names a repository: it may be about a tag that another image has now. */
  isNamed: (repository: string) => boolean
  /** When an earlier run first saw something. */
  watchedSince: (id: string) => number | undefined
  /** Whether it came since an earlier run looked. */
  isNew: (id: string) => boolean
  /** Whether the next run will know what this one sees. */
  remembers: boolean
}

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
      // The first run cannot know when something came.
      const came = arrived && happened(date) === undefined ? since : undefined
      return [
        ...inLog(id),
        { at: usedAt, of: 'seen in use' },
        { at: came, of: 'first seen' }
      ]
    },
    // Podman's log has nothing of other tools that fill its store (buildah, skopeo).
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
