import { happened, plausible } from '../model/dates.ts'
import { type Evidence, usesInLog } from '../model/evidence.ts'
import type { Inventory } from '../model/inventory.ts'
import { repositoryOf } from '../model/references.ts'

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
