import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { codeOf, parseJson, writeJsonFile } from '../files.ts'

/** Identifies an engine. Its ID does not: two engines on one host may have the same. */
export type EngineKey = z.output<typeof engineSchema>

export const engineSchema = z.object({
  endpoint: z.string(),
  rootDir: z.string(),
  store: z.string()
})

/** The path of a file about an engine; `what` is part of its name. */
export function stateFile(folder: string, key: EngineKey, what = ''): string {
  const { endpoint, rootDir, store } = key
  const text = JSON.stringify([endpoint, rootDir, store])
  const name = createHash('sha256').update(text).digest('hex').slice(0, 16)
  return join(folder, `${name}${what}.json`)
}

export function stateSchema<T extends z.ZodRawShape>(content: T) {
  return z.object({
    version: z.literal(1),
    engine: engineSchema,
    ...content
  })
}

/** The content of a file, or why it cannot be used; neither if there is no file. */
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

/** Returns the problem if the file cannot be written. */
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
