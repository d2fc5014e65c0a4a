import { plausible } from '../model/dates.ts'
import { usesInLog } from '../model/evidence.ts'
import type {
  Container,
  Engine,
  Inventory,
  LedgerEntry,
  Volume
} from '../model/inventory.ts'
import { isRunning, needsOf } from '../model/needs.ts'
import { usersOfNetwork, usersOfVolume } from '../model/users.ts'

/** Corrects entries from the future: the engine's clock may have been set back. */
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

/** Without the entries of volumes that have been created again under the same name. */
export function entriesThatHold(
  entries: readonly LedgerEntry[],
  volumes: readonly Volume[]
): LedgerEntry[] {
  const made = new Map(volumes.map((one) => [one.name, one.createdAt]))
  return entries.filter(({ id, since }) => (made.get(id) ?? since) <= since)
}

/** The entries for everything in the inventory, from its events, its containers and the entries that it had. */
export function updateLedger(inventory: Inventory): LedgerEntry[] {
  const { engine, ledger } = inventory
  const known = new Map(ledger?.map((entry) => [entry.id, entry]))
  const uses = usesInLog(inventory)
  const seen = withUsers(inventory)
  const updated = seen.map(({ id, users }) => {
    const entry = known.get(id)
    const times = [
      entry?.usedAt,
      ...users.map((user) => lastUse(user, engine)),
      ...uses(id).map(({ at }) => plausible(at, engine.now))
    ].filter((at) => at !== undefined)
    return {
      id,
      since: entry?.since ?? engine.now,
      arrived: entry?.arrived ?? ledger !== undefined,
      ...(times.length > 0 && { usedAt: Math.max(...times) })
    }
  })
  const ids = new Set(seen.map(({ id }) => id))
  const unseen = inventory.withoutVolumes
    ? (ledger ?? []).filter(({ id }) => !ids.has(id) && !isImage(id))
    : []
  return [...updated, ...unseen]
}

function withUsers(
  inventory: Inventory
): { id: string; users: readonly Container[] }[] {
  const { containers, services = [], images, networks, volumes } = inventory
  const needs = needsOf([...containers, ...services], { containers, images })
  return [
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
}

function lastUse(user: Container, { now }: Engine): number | undefined {
  return isRunning(user) || user.service ? now : plausible(user.finishedAt, now)
}

function isImage(id: string): boolean {
  return id.startsWith('sha256:')
}
