import { z } from 'zod'
import type { LedgerEntry } from '../model/inventory.ts'
import { entriesUntil } from './ledger.ts'
import {
  type EngineKey,
  readStateFile,
  stateFile,
  stateSchema,
  writeStateFile
} from './stateFile.ts'

const instant = z.number().nonnegative()
const ledgerSchema = stateSchema({
  /** The latest look, by the engine's clock. */
  lookedAt: instant.optional(),
  entries: z.array(
    z.object({
      id: z.string().min(1),
      since: instant,
      arrived: z.boolean(),
      usedAt: instant.optional()
    })
  )
})

export function ledgerFile(folder: string, key: EngineKey): string {
  return stateFile(folder, key)
}

/** The entries of earlier runs; undefined without a usable ledger. `now` is the engine's clock. */
export async function readLedger(
  folder: string,
  key: EngineKey,
  now: number
): Promise<{ entries: LedgerEntry[] | undefined; problem?: string }> {
  const file = ledgerFile(folder, key)
  const { content, problem } = await readStateFile(file, ledgerSchema)
  if (problem !== undefined) return { entries: undefined, problem }
  if (content === undefined || ledgerFile(folder, content.engine) === file)
    return { entries: content && entriesUntil(content.entries, now) }
  return {
    entries: undefined,
    problem: `${file} is the ledger of another engine`
  }
}

/** When a run last looked, by the engine's clock; undefined if none has, or that is not known. */
export async function readLastLook(
  folder: string,
  key: EngineKey
): Promise<number | undefined> {
  const file = ledgerFile(folder, key)
  const { content } = await readStateFile(file, ledgerSchema)
  return content?.lookedAt
}

/** Merges the entries with what another run has written meanwhile. Returns the problem if they cannot be written. */
export async function writeLedger(
  folder: string,
  key: EngineKey,
  entries: readonly LedgerEntry[],
  now: number
): Promise<string | undefined> {
  const { entries: others } = await readLedger(folder, key, now)
  const known = new Map(others?.map((entry) => [entry.id, entry]))
  const merged = entries.map((entry) => {
    const other = known.get(entry.id) ?? entry
    const usedAt = Math.max(entry.usedAt ?? 0, other.usedAt ?? 0)
    return {
      ...entry,
      ...firstSeen(entry, other),
      ...(usedAt > 0 && { usedAt })
    }
  })
  return writeStateFile(ledgerFile(folder, key), key, {
    lookedAt: now,
    entries: merged
  })
}

/** The earlier first look, unless one of them saw the resource arrive: it may have been created again. */
function firstSeen(
  a: LedgerEntry,
  b: LedgerEntry
): Pick<LedgerEntry, 'since' | 'arrived'> {
  const came = [a, b].filter(({ arrived }) => arrived)
  return came.length > 0
    ? { since: Math.max(...came.map(({ since }) => since)), arrived: true }
    : { since: Math.min(a.since, b.since), arrived: false }
}
