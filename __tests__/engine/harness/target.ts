import { test } from '@jest/globals'

// The engine that is under test, as the environment names it.

/** A folder with a system to run the engine in, instead of this one. */
export const root = process.env['ENGINE_ROOT']
export const podman = process.env['ENGINE_KIND'] === 'podman'
/** The image store; the one that the engine prefers where none is named. */
export const store = process.env['ENGINE_STORE'] || undefined
export const containerd = store === 'containerd'

/** A test of something that Podman does not have: there it is skipped, and its name says what is missing. */
export function onlyOnDocker(what: string) {
  return (name: string, body: () => Promise<void>, limit?: number): void => {
    if (podman) test.skip(`${name} (Podman has no ${what})`, body)
    else test(name, body, limit)
  }
}

/** A network that every engine has from the start. */
export const ownNetwork = podman ? 'podman' : 'host'

/** Seconds in which a busy machine has begun to remove what little a test has: Podman's log alone takes 3. */
export const busySeconds = podman ? 9 : 6
