import { setTimeout as sleep } from 'node:timers/promises'
import { succeed, type Docker, type Output } from './cli.ts'

/** Milliseconds before each further try: about as long in all as somebody takes to remove a few hundred images. */
const pauses = [250, 500, ...Array<number>(8).fill(2_000)]

/** Words of an engine that came upon an image which was just being removed. */
const vanished = /not found|not known|does not exist|no such|data changed/i

/**
 * What a listing of images prints. The containerd store and Podman 4 fail to list while somebody removes an image: they
 * are asked again then, for a while. Throws a DockerError where they fail for all that, or for another reason.
 */
export async function printImages(
  docker: Docker,
  options: readonly string[]
): Promise<string> {
  let output = await tryToPrintImages(docker, options)
  for (const pause of pauses) {
    if (output.exitCode === 0 || !vanished.test(output.stderr)) break
    await sleep(pause)
    output = await tryToPrintImages(docker, options)
  }
  return succeed(output, 'image ls').stdout
}

/** Asks once: for whoever has another way to know. */
export function tryToPrintImages(
  docker: Docker,
  options: readonly string[]
): Promise<Output> {
  return docker(['image', 'ls', '--no-trunc', ...options])
}
