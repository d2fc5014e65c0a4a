import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Readable } from 'node:stream'
import { writeFile } from 'atomically'

/** Milliseconds of retries: on Windows another process may have the file open. */
const retryTime = 500

/** Replaces the file atomically. */
export async function writeJsonFile(
  file: string,
  value: unknown
): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  // On a full disk, a string would be cut off silently; a stream fails.
  const text = Readable.from([`${JSON.stringify(value)}\n`])
  await writeFile(file, text, { timeout: retryTime })
}

/** Undefined if the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The code of a system error, such as `ENOENT`. */
export function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error
    ? error.code
    : undefined
}
