import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { z } from 'zod'
import { messages } from '../model/messages.ts'
import { type CallOptions, countForOneCall, type Docker } from './cli.ts'
import { DockerError, type Output, succeed } from './errors.ts'
import { readJson } from './json.ts'
import { podmanSaysAbsent, saysAllAbsent } from './podman.ts'

export type Inspectable = 'container' | 'image' | 'network' | 'volume'

type Schema<T> = z.ZodType<T & { Id?: string; Name?: string }>

/** The items found, and the names of those that exist but cannot be read. An item that has gone is in neither. */
export type Inspected<T> = { found: T[]; unreadable: string[] }

type InspectOptions = CallOptions & { flags?: readonly string[] }

type Queue = { names: string[]; perCall: number }

/** Small enough that no call runs long after the others have finished. */
const mostPerCall = 100

/** Characters of an answer about several items; if there are more, each half is asked for separately. */
const mostOfSeveral = 1_000_000

const mostOfOne = 32_000_000

/** Milliseconds in which a removal or a stop that is under way ends. */
const changeTime = 500

/** Inspects items by name or ID, several per call. An item whose answer alone is too large is unreadable. */
export async function inspect<T>(
  docker: Docker,
  type: Inspectable,
  names: readonly string[],
  schema: Schema<T>,
  options: InspectOptions = {}
): Promise<Inspected<T>> {
  const queue: Queue = { names: [...names], perCall: mostPerCall }
  const inspected: Inspected<T>[] = []
  const lane = async () => {
    while (queue.names.length > 0) {
      // An answer that was too large left megabytes of garbage, which V8 would not collect soon.
      if (queue.perCall < mostPerCall) collectGarbage()
      const some = takeFrom(queue)
      const most = some.length === 1 ? mostOfOne : mostOfSeveral
      const call = inspectSome(docker, type, some, schema, { ...options, most })
      const answer = await unlessTooLarge(call)
      if (answer !== undefined) {
        inspected.push(answer)
        if (answer.characters < mostOfSeveral / 4)
          queue.perCall = Math.min(queue.perCall * 2, mostPerCall)
      } else if (some.length === 1)
        inspected.push({ found: [], unreadable: some })
      else retryInHalves(queue, some)
    }
  }
  const lanes = Math.ceil(names.length / mostPerCall)
  await Promise.all(Array.from({ length: lanes }, lane))
  return {
    found: inspected.flatMap(({ found }) => found),
    unreadable: inspected.flatMap(({ unreadable }) => unreadable)
  }
}

/** Inspects unreadable items once more, a moment later. */
export async function inspectTwice<T>(
  docker: Docker,
  type: Inspectable,
  names: readonly string[],
  schema: Schema<T>
): Promise<Inspected<T>> {
  const first = await inspect(docker, type, names, schema)
  if (first.unreadable.length > 0) await sleep(changeTime)
  const second = await inspect(docker, type, first.unreadable, schema)
  return {
    found: [...first.found, ...second.found],
    unreadable: second.unreadable
  }
}

/** Whether the engine said that an item does not exist. Errors about other things contain similar words. */
export function saysAbsent(
  { stderr }: Output,
  type: Inspectable,
  name: string
): boolean {
  const lines = stderr.split('\n').filter(Boolean)
  if (type === 'volume' && saysAllAbsent(lines)) return true
  return lines.some((line) => {
    const at = line.indexOf(name)
    if (at < 0) return false
    const around =
      `${line.slice(0, at)}NAME${line.slice(at + name.length)}`.trim()
    return (
      new RegExp(`no such (?:${type}|object): NAME$`, 'i').test(around) ||
      new RegExp(
        `(?:${type}|get) NAME:? (?:not found|no such ${type})$`,
        'i'
      ).test(around) ||
      podmanSaysAbsent(around, type)
    )
  })
}

function takeFrom({ names, perCall }: Queue): string[] {
  return names.splice(0, countForOneCall(names, perCall))
}

function retryInHalves(queue: Queue, some: readonly string[]): void {
  queue.names.unshift(...some)
  queue.perCall = Math.min(queue.perCall, Math.ceil(some.length / 2))
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc()')
}

async function unlessTooLarge<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    if (error instanceof DockerError && error.kind === 'too-large')
      return undefined
    throw error
  }
}

/** One call. The CLI prints what it found, and exits with 1 if anything was missing. */
async function inspectSome<T>(
  docker: Docker,
  type: Inspectable,
  names: readonly string[],
  schema: Schema<T>,
  { flags = [], ...options }: InspectOptions
): Promise<Inspected<T> & { characters: number }> {
  const output = await docker(
    [type, 'inspect', ...flags, '--', ...names],
    options
  )
  if (output.stdout === '') succeed(output, `${type} inspect`)
  const found = readJson(output.stdout, schema.array(), `${type} inspect`)
  const missing = findMissing(type, names, found)
  const whole = found.length === names.length - missing.length
  if (!whole || (output.exitCode === 0 && missing.length > 0))
    throw new DockerError('failed', messages.answerIncomplete(type))
  return {
    found,
    unreadable: missing.filter((name) => !saysAbsent(output, type, name)),
    characters: output.stdout.length
  }
}

/** The names without an answer. A single image may be named by a reference, and answers with its ID. */
function findMissing(
  type: Inspectable,
  names: readonly string[],
  found: readonly { Id?: string; Name?: string }[]
): string[] {
  const [first = '', ...more] = names
  if (type === 'image' && more.length === 0 && !first.startsWith('sha256:'))
    return found.length === 0 ? [first] : []
  const known = new Set(found.flatMap(({ Id, Name }) => [Id, Name]))
  return names.filter((name) => !known.has(name))
}
