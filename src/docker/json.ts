import { z } from 'zod'
import { messages } from '../model/messages.ts'
import { parseSize } from '../units.ts'
import { DockerError } from './errors.ts'

/** Prints each item as JSON on a line of its own. */
export const asJson = ['--format', '{{json .}}'] as const

/** Prints these fields of each item as a JSON array on a line of its own. */
export function asRows(...fields: string[]): string[] {
  const row = fields.map((field) => `{{json .${field}}}`).join(',')
  return ['--format', `[${row}]`]
}

/** Reads one JSON value. Throws a DockerError that names the command. */
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

/** A size as Docker prints it for people; undefined for anything else (`N/A`). */
export function readSize(text: string): number | undefined {
  return parseSize(text.trim())
}

function unreadable(command: string, why: string): DockerError {
  return new DockerError('failed', messages.outputUnreadable(command, why))
}
