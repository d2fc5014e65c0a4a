import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { CallOptions, Docker } from './cli.ts'
import { succeed } from './errors.ts'
import { readJsonLines } from './json.ts'

export const containerLs = ['container', 'ls', '--all', '--no-trunc'] as const
export const imageLs = ['image', 'ls', '--no-trunc'] as const
export const networkLs = ['network', 'ls', '--no-trunc'] as const

/** Milliseconds before each retry: together about as long as removing a few hundred images takes. */
const pauses = [250, 500, ...Array<number>(8).fill(2_000)]

/** The engine found something that was just being removed, or had just stopped. */
const vanished = /not found|not known|does not exist|no such|data changed/i

/** The output of a listing. Removals can make it fail on the containerd store and Podman 4, and then it is retried. */
export async function printListing(
  docker: Docker,
  args: readonly string[],
  options: CallOptions = {}
): Promise<string> {
  let output = await docker(args, options)
  for (const pause of pauses) {
    if (output.exitCode === 0 || !vanished.test(output.stderr)) break
    await sleep(pause)
    output = await docker(args, options)
  }
  return succeed(output, nameOf(args)).stdout
}

export async function listJson<T>(
  docker: Docker,
  args: readonly string[],
  schema: z.ZodType<T>
): Promise<T[]> {
  const stdout = await printListing(docker, args)
  return readJsonLines(stdout, schema, nameOf(args))
}

export async function listIds(
  docker: Docker,
  args: readonly string[],
  options: CallOptions = {}
): Promise<string[]> {
  return readIds(await printListing(docker, args, options), args)
}

export function readIds(stdout: string, args: readonly string[]): string[] {
  return [...new Set(readJsonLines(stdout, z.string().min(1), nameOf(args)))]
}

function nameOf(args: readonly string[]): string {
  return args.slice(0, 2).join(' ')
}
