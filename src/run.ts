import { createDocker, type RunningCall } from './docker/cli.ts'
import { readEvent } from './inputs/event.ts'
import { readInputs } from './inputs/read.ts'
import { scopeLines } from './report/log.ts'
import { cleanUp } from './run/cleanUp.ts'
import { endingOf, withWantedSummary } from './run/ending.ts'
import { beginJob, endJob, leaveAll } from './run/job.ts'
import { concludeClosed } from './run/conclude.ts'
import { isLookDue, readGate } from './run/gate.ts'
import { look } from './run/look.ts'
import { fetchPullRequestStates } from './run/pullRequests.ts'
import type { Ending, Step, World } from './run/world.ts'

/**
 * The whole step: reads the inputs, looks, plans, removes, reports. Throws an InputError if an input is invalid: nothing
 * has been inspected or removed then.
 */
export async function run(world: World): Promise<Ending> {
  const startedAt = new Date()
  world.log.info(`Docker Reclaim ${world.version}`)
  const { policy, options, texts } = readInputs(world.getInput, {
    now: startedAt.getTime(),
    env: world.env,
    event: await readEvent(world.env)
  })
  for (const line of scopeLines(policy, texts)) world.log.info(line)
  // Ends what is still under way: the event stream, and after an error the other calls.
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
    const ending = await runScope({
      ...{ docker, policy, options, texts, startedAt, deadline, world },
      running,
      leave: leave.signal
    }).catch(endingOf)
    return withWantedSummary(ending, options.jobSummary)
  } finally {
    leave.abort()
  }
}

async function runScope(step: Step): Promise<Ending> {
  const { policy, world } = step
  const { snapshotFile } = world
  if (policy.scope.kind === 'job')
    return snapshotFile === undefined
      ? beginJob(step)
      : endJob(step, snapshotFile)
  // The runner evaluates the inputs of the post step anew.
  if (snapshotFile !== undefined)
    return leaveAll(step, 'its step had another scope by then')
  const gate = await readGate(step)
  const quiet = gate?.closed && !step.options.dryRun
  if (quiet && !(await isLookDue(step, gate))) return concludeClosed(step, gate)
  const looked = await world.log.group('Look', () => look(step, gate))
  if (quiet) return concludeClosed(step, gate)
  const complete = await fetchPullRequestStates(step, looked.inventory)
  return cleanUp(step, looked, complete.policy, complete.problems)
}
