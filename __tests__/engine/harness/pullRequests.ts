import type { Step } from '../../../scripts/engines/step.ts'
import type { TestEngine } from './engine.ts'
import { polite } from './things.ts'

/** Options that label a resource with a Compose project. */
export const project = (name: string): string[] => [
  '--label',
  `com.docker.compose.project=${name}`
]

export function createPullRequests({
  build,
  docker,
  step
}: Pick<TestEngine, 'build' | 'docker' | 'step'>) {
  return {
    /** Runs the step as after a pull request was closed. */
    close: (
      repository: string,
      number: number,
      inputs: Record<string, string> = {}
    ): Promise<Step> =>
      step(
        { scope: 'pull-request', 'pull-request': String(number), ...inputs },
        { GITHUB_REPOSITORY: repository }
      ),
    /** Builds the image of pull request 1 of `acme/web`. */
    buildImage: () =>
      build('FROM busybox:1\nLABEL made.for=web\n', { tag: 'acme/web:pr-1' }),
    /** Creates a Compose preview: an image, a running and an exited container, a network and a volume. */
    preview: async (repository: string, number: number): Promise<void> => {
      const image = `${repository}:pr-${number}`
      const own = `${repository.replace('/', '-')}-pr-${number}`
      await build(`FROM busybox:1\nLABEL made.for=${own}\n`, { tag: image })
      await docker('network', 'create', ...project(own), own)
      await docker('volume', 'create', ...project(own), own)
      const start = ['run', ...project(own), '--network', own]
      await docker(
        ...[...start, '--detach', '--volume', `${own}:/data`],
        ...['--name', `${own}-app`, '--restart', 'always', image, ...polite]
      )
      // A service with a shared image.
      await docker(...start, '--name', `${own}-job`, 'busybox:1', 'true')
    }
  }
}
