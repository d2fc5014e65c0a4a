import { createDocker, type RunningCall } from './docker/cli.ts'
import { readEvent } from './inputs/event.ts'
import { readInputs } from './inputs/read.ts'
import { scopeLines } from './report/log.ts'
import { cleanUp } from './run/cleanUp.ts'
import { beginJob, endJob, leaveAll } from './run/job.ts'
import { look } from './run/look.ts'
import { fetchPullRequestStates } from './run/pullRequests.ts'
import type { Ending, World } from './run/world.ts'

/**
 * The whole step: reads the inputs, looks at the engine, plans, acts, reports. Throws an InputError or a DockerError
 * where it could not come to a plan: nothing has been removed then.
 */
export async function run(world: World): Promise<Ending> {
  const startedAt = new Date()
  const { policy, options, texts } = readInputs(world.getInput, {
    now: startedAt.getTime(),
    env: world.env,
    event: await readEvent(world.env)
  })
  for (const line of scopeLines(policy, texts)) world.log.info(line)
  // Ends what is still under way: the watch, and where one call of several has failed, the others.
  const leave = new AbortController()
  const deadline = startedAt.getTime() + options.timeout
  const running = new Set<RunningCall>()
  const docker = createDocker({
    running,
    command: options.docker,
    env: world.env,
    concurrency: options.concurrency,
    deadline,
    signal: AbortSignal.any([world.signal, leave.signal])
  })
  try {
    const step = {
      ...{ docker, policy, options, texts, startedAt, deadline, world },
      running,
      leave: leave.signal
    }
    // The runner reads the inputs of the post step anew: by then they may say something else.
    if (world.snapshotFile !== undefined && policy.scope.kind !== 'job')
      return leaveAll(step, 'its step had another scope by then')
    if (policy.scope.kind !== 'job') {
      const looked = await world.log.group('Look', () => look(step))
      return await cleanUp(
        step,
        looked,
        await fetchPullRequestStates(step, looked.inventory)
      )
    }
    return world.snapshotFile === undefined
      ? await beginJob(step)
      : await endJob(step, world.snapshotFile)
  } finally {
    leave.abort()
  }
}
