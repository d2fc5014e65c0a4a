import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { codeOf, parseJson, writeJsonFile } from '../files.ts'

/** What tells engines apart: an engine's ID does not (two on one host may have the same). */
export type EngineKey = { endpoint: string; rootDir: string; store: string }

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
    return codeOf(error) === 'ENOENT' ? {} : { problem: String(error) }
  }
  const { data, success } = schema.safeParse(parseJson(text))
  return success
    ? { content: data }
    : { problem: `${file} is broken, or of another version` }
}

/** Writes a file in one step, with the engine that it is about; returns what went wrong, if something did. */
export async function writeStateFile(
  file: string,
  engine: EngineKey,
  content: object
): Promise<string | undefined> {
  try {
    await writeJsonFile(file, { version: 1, engine, ...content })
    return undefined
  } catch (error) {
    return String(error)
  }
}
