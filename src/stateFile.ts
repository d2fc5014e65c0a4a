import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { writeFile } from 'atomically'
import { z } from 'zod'

/** What tells engines apart: an engine's ID does not (two on one host may have the same). */
export type EngineKey = { endpoint: string; rootDir: string; store: string }

/** Milliseconds to try again where the file is denied: on Windows others may have it open for a moment. */
const retryTime = 500

/** A file about an engine in the folder `state-dir`; `what` tells several of them apart. */
export function stateFile(folder: string, key: EngineKey, what = ''): string {
  const { endpoint, rootDir, store } = key
  const text = JSON.stringify([endpoint, rootDir, store])
  const name = createHash('sha256').update(text).digest('hex').slice(0, 16)
  return join(folder, `${name}${what}.json`)
}

/** The schema of a file about an engine, of the first version. */
export function stateSchema<T extends z.ZodRawShape>(content: T) {
  return z.object({
    version: z.literal(1),
    engine: z.object({
      endpoint: z.string(),
      rootDir: z.string(),
      store: z.string()
    }),
    ...content
  })
}

/** What a file holds; undefined where there is none. One that is broken or of another version is a problem. */
export async function readStateFile<T>(
  file: string,
  schema: z.ZodType<T>
): Promise<{ content?: T; problem?: string }> {
  let text
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    return isAbsent(error) ? {} : { problem: String(error) }
  }
  const { data, success } = schema.safeParse(parseJson(text))
  return success
    ? { content: data }
    : { problem: `${file} is not of this version` }
}

/**
 * Writes a file in one step: whoever reads meanwhile finds the old file or the new one. Returns what went wrong, if
 * something did.
 */
export async function writeStateFile(
  file: string,
  engine: EngineKey,
  content: object
): Promise<string | undefined> {
  const text = `${JSON.stringify({ version: 1, engine, ...content })}\n`
  try {
    await mkdir(dirname(file), { recursive: true })
    // A string would be cut off without a word where the disk is full; a stream is an error then.
    await writeFile(file, Readable.from([text]), { timeout: retryTime })
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
