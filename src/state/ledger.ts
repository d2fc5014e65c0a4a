import { plausible } from '../model/dates.ts'
import type { Inventory, LedgerEntry, Volume } from '../model/inventory.ts'
import { isRunning, needsOf } from '../model/needs.ts'
import { usersOfNetwork, usersOfVolume } from '../model/users.ts'
import { usesInLog } from '../model/evidence.ts'

/** Entries as they can be: the engine's clock may have been set back since they were written. */
export function entriesUntil(
  entries: readonly LedgerEntry[],
  now: number
): LedgerEntry[] {
  return entries.map((entry) => ({
    ...entry,
    since: plausible(entry.since, now) ?? now,
    ...(entry.usedAt !== undefined && {
      usedAt: plausible(entry.usedAt, now) ?? now
    })
  }))
}

/** The entries of what is there: a volume that was made anew under its old name is another one. */
export function entriesThatHold(
  entries: readonly LedgerEntry[],
  volumes: readonly Volume[]
): LedgerEntry[] {
  const made = new Map(volumes.map((one) => [one.name, one.createdAt]))
  return entries.filter(({ id, since }) => (made.get(id) ?? since) <= since)
}

/**
 * What a ledger has to hold after a look at the engine: everything that is there, with when it was first seen and when
 * its latest use was seen. What has gone is dropped. Depends on nothing but the inventory, which has the entries of
 * the earlier runs.
 */
export function updateLedger(inventory: Inventory): LedgerEntry[] {
  const { engine, containers, images, networks, volumes, ledger } = inventory
  const users = [...containers, ...(inventory.services ?? [])]
  const known = new Map(ledger?.map((entry) => [entry.id, entry]))
  const needs = needsOf(users, { containers, images })
  const uses = usesInLog(inventory)
  const seen = [
    ...images.map(({ id }) => ({ id, users: needs.images.get(id) ?? [] })),
    ...networks.map((network) => ({
      id: network.id,
      users: usersOfNetwork(network, needs)
    })),
    ...volumes.map((volume) => ({
      id: volume.name,
      users: usersOfVolume(volume, needs)
    }))
  ]
  const ids = new Set(seen.map(({ id }) => id))
  const unseen = inventory.withoutVolumes
    ? (ledger ?? []).filter(({ id }) => !ids.has(id) && !isImage(id))
    : []
  const updated = seen.map(({ id, users }) => {
    const entry = known.get(id)
    const times = [
      entry?.usedAt,
      ...users.map((user) =>
        isRunning(user) || user.service
          ? engine.now
          : plausible(user.finishedAt, engine.now)
      ),
      ...uses(id).map(({ at }) => plausible(at, engine.now))
    ].filter((at) => at !== undefined)
    return {
      id,
      since: entry?.since ?? engine.now,
      arrived: entry?.arrived ?? ledger !== undefined,
      ...(times.length > 0 && { usedAt: Math.max(...times) })
    }
  })
  return [...updated, ...unseen]
}

function isImage(id: string): boolean {
  return id.startsWith('sha256:')
}
