import type { TestEngine } from './engine.ts'
import { everything } from './things.ts'

// The BuildKit image cannot be pulled here. A container with the name, volume and restart policy that buildx uses
// stands in for a builder, and a long `docker exec` for a build, since buildx connects to its builders that way.

/** Inputs that remove everything except build cache and builders. */
export const allVolumes = { ...everything, 'include-volumes': 'all' }

export const nameOf = (node: string) => `buildx_buildkit_${node}`
export const stateOf = (node: string) => `${nameOf(node)}_state`

type Parts = { image?: string; network?: string; label?: string }

export function createBuilders({ docker }: Pick<TestEngine, 'docker'>) {
  const start = async (
    node: string,
    { image = 'busybox:1', network = 'none', label = 'none' }: Parts = {}
  ): Promise<void> => {
    const ends = 'trap "exit 0" TERM; while :; do sleep 0.1; done'
    await docker(
      ...['run', '--detach', '--name', nameOf(node), '--network', network],
      ...['--volume', `${stateOf(node)}:/var/lib/buildkit`],
      ...['--restart', 'unless-stopped', '--label', label, image],
      ...['sh', '-c', `echo state >/var/lib/buildkit/file; ${ends}`]
    )
  }
  return {
    /** Starts a builder that stops at once on SIGTERM. */
    start,
    makeStopped: async (node: string, parts?: Parts): Promise<void> => {
      await start(node, parts)
      await docker('stop', nameOf(node))
    },
    attachClient: (node: string) =>
      docker('exec', '--detach', nameOf(node), 'sleep', '600')
  }
}
