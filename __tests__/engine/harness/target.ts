import { test } from '@jest/globals'

// The engine under test, as set by the environment.

/** The root folder of the system to run the engine in; by default, this system. */
export const root = process.env['ENGINE_ROOT']
export const podman = process.env['ENGINE_KIND'] === 'podman'
/** The image store; undefined means the engine's default. */
export const store = process.env['ENGINE_STORE'] || undefined
export const containerd = store === 'containerd'

/** Returns a test function that skips on Podman and names the missing feature. */
export function onlyOnDocker(feature: string) {
  return (name: string, body: () => Promise<void>, limit?: number): void => {
    if (podman) test.skip(`${name} (Podman has no ${feature})`, body)
    else test(name, body, limit)
  }
}

export const ownNetwork = podman ? 'podman' : 'host'

/** Seconds until a busy machine has started removals; reading Podman's event log alone needs 3. */
export const busySeconds = podman ? 9 : 6
