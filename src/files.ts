import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Readable } from 'node:stream'
import { writeFile } from 'atomically'

/** Milliseconds to try again where the file is denied: on Windows others may have it open for a moment. */
const retryTime = 500

/** Writes JSON in one step: whoever reads meanwhile finds the old file or the new one. */
export async function writeJsonFile(
  file: string,
  value: unknown
): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  // A string would be cut off without a word where the disk is full; a stream is an error then.
  const text = Readable.from([`${JSON.stringify(value)}\n`])
  await writeFile(file, text, { timeout: retryTime })
}

/** What a text says in JSON; undefined where it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What the system calls an error, such as `ENOENT`; undefined where it is none of the system's. */
export function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error
    ? error.code
    : undefined
}
