import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { codeOf, parseJson, writeJsonFile } from './files.ts'
import type { LedgerEntry } from './policy/inventory.ts'

/** What tells engines apart: an engine's ID does not (two on one host may have the same). */
export type LedgerKey = { endpoint: string; rootDir: string; store: string }

const instant = z.number().nonnegative()
const ledgerSchema = z.object({
  version: z.literal(1),
  engine: z.object({
    endpoint: z.string(),
    rootDir: z.string(),
    store: z.string()
  }),
  entries: z.array(
    z.object({
      id: z.string().min(1),
      since: instant,
      arrived: z.boolean(),
      usedAt: instant.optional()
    })
  )
})

/** The file of an engine's ledger in the folder `state-dir`. */
export function ledgerFile(folder: string, key: LedgerKey): string {
  const { endpoint, rootDir, store } = key
  const text = JSON.stringify([endpoint, rootDir, store])
  const name = createHash('sha256').update(text).digest('hex').slice(0, 16)
  return join(folder, `${name}.json`)
}

/**
 * What earlier runs have seen on an engine; undefined where there was none. A file that is broken, of another version
 * or of another engine is a problem to be told, and counts as none.
 */
export async function readLedger(
  folder: string,
  key: LedgerKey
): Promise<{ entries: LedgerEntry[] | undefined; problem?: string }> {
  const file = ledgerFile(folder, key)
  let text
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    return codeOf(error) === 'ENOENT'
      ? { entries: undefined }
      : { entries: undefined, problem: String(error) }
  }
  const ledger = ledgerSchema.safeParse(parseJson(text))
  if (!ledger.success)
    return {
      entries: undefined,
      problem: `${file} is no ledger of this version`
    }
  const { engine, entries } = ledger.data
  return ledgerFile(folder, engine) === file
    ? { entries }
    : { entries: undefined, problem: `${file} is the ledger of another engine` }
}

/**
 * Writes what was seen, in one step: whoever reads meanwhile finds the old file or the new one. What another run wrote
 * since it was read is taken over. Returns what went wrong, if something did.
 */
export async function writeLedger(
  folder: string,
  key: LedgerKey,
  entries: readonly LedgerEntry[]
): Promise<string | undefined> {
  const { entries: others } = await readLedger(folder, key)
  const known = new Map(others?.map((entry) => [entry.id, entry]))
  const merged = entries.map((entry) => {
    const other = known.get(entry.id) ?? entry
    const usedAt = Math.max(entry.usedAt ?? 0, other.usedAt ?? 0)
    const since = Math.min(entry.since, other.since)
    return { ...entry, since, ...(usedAt > 0 && { usedAt }) }
  })
  const ledger = { version: 1, engine: key, entries: merged }
  try {
    await writeJsonFile(ledgerFile(folder, key), ledger)
    return undefined
  } catch (error) {
    return String(error)
  }
}
