import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { CallOptions, Docker } from './cli.ts'
import { succeed } from './errors.ts'
import { readJsonLines } from './json.ts'

/** Milliseconds before each further try: about as long in all as somebody takes to remove a few hundred images. */
const pauses = [250, 500, ...Array<number>(8).fill(2_000)]

/** Words of an engine that came upon something which was just being removed, or had just ended. */
const vanished = /not found|not known|does not exist|no such|data changed/i

/** How images are listed, with more options. */
export const imageLs = ['image', 'ls', '--no-trunc'] as const

/**
 * What a listing prints. The containerd store and Podman 4 fail to list while somebody removes an image, and Podman 4
 * while a container ends: they are asked again then, for a while. Throws a DockerError where they fail for all that, or
 * for another reason.
 */
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
  return succeed(output, args.slice(0, 2).join(' ')).stdout
}

/** Lists IDs or names: as JSON, so that nothing else that is printed passes for one. */
export async function listIds(
  docker: Docker,
  args: readonly string[],
  options: CallOptions = {}
): Promise<string[]> {
  return readIds(await printListing(docker, args, options), args)
}

export function readIds(stdout: string, args: readonly string[]): string[] {
  const command = args.slice(0, 2).join(' ')
  return [...new Set(readJsonLines(stdout, z.string().min(1), command))]
}
