import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { writeFile } from 'atomically'
import { z } from 'zod'
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

/** Milliseconds to try again where the file is denied: on Windows others may have it open for a moment. */
const retryTime = 500

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
    return isAbsent(error)
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
    await mkdir(folder, { recursive: true })
    const file = ledgerFile(folder, key)
    // A string would be cut off without a word where the disk is full; a stream is an error then.
    const text = Readable.from([`${JSON.stringify(ledger)}\n`])
    await writeFile(file, text, { timeout: retryTime })
    return undefined
  } catch (error) {
    return String(error)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isAbsent(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    error.code === 'ENOENT'
  )
}
