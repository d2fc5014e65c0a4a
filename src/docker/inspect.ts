import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { z } from 'zod'
import { type CallOptions, countForOneCall, type Docker } from './cli.ts'
import { DockerError, type Output, succeed } from './errors.ts'
import { readJson } from './json.ts'
import { podmanSaysAbsent, saysAllAbsent } from './podman.ts'

export type Inspectable = 'container' | 'image' | 'network' | 'volume'

/** What was inspected, and the names of what the engine has but could not tell of. What has gone is in neither. */
export type Inspected<T> = { found: T[]; unreadable: string[] }

/** So few in a call that none of those side by side is left alone with the last ones for long. */
const mostPerCall = 100

/** Characters of an answer about several things, which otherwise are asked for in halves; and about one alone. */
const mostOfSeveral = 1_000_000

const mostOfOne = 32_000_000

/**
 * Inspects things by name or ID, some in each call: the CLI prints what it found, and exits with 1 where something was
 * missing. Only what the engine says it does not have counts as gone; what is too large to be read alone is unreadable.
 */
export async function inspect<T>(
  docker: Docker,
  type: Inspectable,
  names: readonly string[],
  schema: z.ZodType<T & { Id?: string; Name?: string }>,
  { flags = [], ...options }: CallOptions & { flags?: readonly string[] } = {}
): Promise<Inspected<T>> {
  const left = [...names]
  const inspected: Inspected<T>[] = []
  let perCall = mostPerCall
  async function lane(): Promise<void> {
    while (left.length > 0) {
      // What once was too large is garbage by the megabyte, which nobody would collect before there is a lot of it.
      if (perCall < mostPerCall) collectGarbage()
      const some = left.splice(0, countForOneCall(left, perCall))
      const one = some.length === 1
      const most = one ? mostOfOne : mostOfSeveral
      try {
        const { characters, ...answer } = await inspectSome(
          docker,
          type,
          some,
          schema,
          { ...options, flags, most }
        )
        inspected.push(answer)
        if (characters < mostOfSeveral / 4)
          perCall = Math.min(perCall * 2, mostPerCall)
      } catch (error) {
        if (!(error instanceof DockerError && error.kind === 'too-large'))
          throw error
        if (one) inspected.push({ found: [], unreadable: some })
        else {
          left.unshift(...some)
          perCall = Math.min(perCall, Math.ceil(some.length / 2))
        }
      }
    }
  }
  const lanes = Math.ceil(names.length / mostPerCall)
  await Promise.all(Array.from({ length: lanes }, lane))
  return {
    found: inspected.flatMap(({ found }) => found),
    unreadable: inspected.flatMap(({ unreadable }) => unreadable)
  }
}

async function inspectSome<T>(
  docker: Docker,
  type: Inspectable,
  names: readonly string[],
  schema: z.ZodType<T & { Id?: string; Name?: string }>,
  { flags, ...options }: CallOptions & { flags: readonly string[] }
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
    throw new DockerError(
      'failed',
      `docker ${type} inspect returned other items than requested, or fewer.`
    )
  return {
    found,
    unreadable: missing.filter((name) => !saysAbsent(output, type, name)),
    characters: output.stdout.length
  }
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc()')
}

/** What was asked for and is not among the answers. One image may be asked for by a reference: its ID answers. */
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

/**
 * Tells whether the engine said that it does not have a thing. It says so in several ways: `No such image: NAME`,
 * `network NAME not found`, `get NAME: no such volume`. Other errors have such words too, about other things.
 */
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

/** Milliseconds in which what is just being removed is gone, and what is just ending has ended. */
const changeTime = 500

/** Inspects things; those that the engine cannot tell of once more, a moment later. */
export async function inspectTwice<T>(
  docker: Docker,
  type: Inspectable,
  names: readonly string[],
  schema: z.ZodType<T & { Id?: string; Name?: string }>
): Promise<Inspected<T>> {
  const first = await inspect(docker, type, names, schema)
  if (first.unreadable.length > 0) await sleep(changeTime)
  const second = await inspect(docker, type, first.unreadable, schema)
  return {
    found: [...first.found, ...second.found],
    unreadable: second.unreadable
  }
}
