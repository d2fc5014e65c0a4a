import { z } from 'zod'
import { DockerError } from './errors.ts'
import { parseSize } from '../units.ts'

/** Reads one JSON value that a command printed. Throws a DockerError that names the command. */
export function readJson<T>(
  json: string,
  schema: z.ZodType<T>,
  command: string
): T {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw unreadable(command, `no JSON: ${json.slice(0, 200)}`)
  }
  const result = schema.safeParse(value)
  if (!result.success)
    throw unreadable(command, z.prettifyError(result.error).slice(0, 1_000))
  return result.data
}

/** Reads JSON that a command printed one value a line. Throws a DockerError that names the command. */
export function readJsonLines<T>(
  lines: string,
  schema: z.ZodType<T>,
  command: string
): T[] {
  return lines
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => readJson(line, schema, command))
}

function unreadable(command: string, why: string): DockerError {
  return new DockerError(
    'failed',
    `The output of docker ${command} could not be read. ${why}`
  )
}

/** A size as Docker prints it for people; undefined where it is none (`N/A`). */
export function readSize(text: string): number | undefined {
  return parseSize(text.trim())
}
