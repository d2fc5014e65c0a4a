import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { listContents } from '../docker/contents.ts'
import { whyNotHere } from '../host/here.ts'
import { findOtherJobs } from '../host/workers.ts'
import { InputError } from '../model/inputs.ts'
import type { Engine, EngineContext } from '../model/inventory.ts'
import { messages } from '../model/messages.ts'
import type { Policy } from '../model/policy.ts'
import { describeContents } from '../report/log.ts'
import { renderNothing } from '../report/summary.ts'
import { identify, readSnapshot, writeSnapshot } from '../state/jobSnapshot.ts'
import { cleanUp } from './cleanUp.ts'
import { look, readEngineAndContext } from './look.ts'
import { type Ending, nothingDone, type Step } from './world.ts'

/** Before a job: writes down what is on the engine, for the post step. */
export async function beginJob({ docker, world }: Step): Promise<Ending> {
  const { env, log, saveState } = world
  if (saveState === undefined)
    throw new InputError(messages.jobScopeOutsideWorkflow())
  const { file, before } = await log.group('Look', async () => {
    const [engine, context] = await readEngineAndContext(docker, env)
    const folder = join(env['RUNNER_TEMP'] || tmpdir(), 'docker-reclaim')
    const problem = await whyNotAlone(engine, context)
    return writeSnapshot(
      folder,
      identify(engine, context.endpoint),
      problem === undefined ? await listContents(docker) : { problem }
    )
  })
  const unsaved = file === undefined ? '' : saveState('snapshot', file)
  if ('problem' in before || unsaved !== '') {
    const why = 'problem' in before ? before.problem : unsaved
    log.warning(messages.nothingAfterJob(why))
  } else log.info(`Before this job: ${describeContents(before)}`)
  return nothingDone
}

/** After a job: removes what came since, if it can only be this job's. */
export async function endJob(step: Step, file: string): Promise<Ending> {
  const snapshot = await readSnapshot(file)
  if ('problem' in snapshot) return leaveAll(step, snapshot.problem)
  if ('problem' in snapshot.before)
    return leaveAll(step, snapshot.before.problem)
  const looked = await step.world.log.group('Look', () => look(step))
  const { engine, context } = looked
  const now = identify(engine, context.endpoint)
  if (!isDeepStrictEqual(snapshot.engine, now))
    return leaveAll(step, 'the engine is not the one from before the job')
  // After the look: whichever job made something that it saw still runs, or has ended.
  const problem = await whyNotAlone(engine, context)
  if (problem !== undefined) return leaveAll(step, problem)
  const { before } = snapshot
  const policy: Policy = { ...step.policy, scope: { kind: 'job', before } }
  return cleanUp(step, looked, policy)
}

/** Why another job may be using the engine; undefined if none is. */
async function whyNotAlone(
  engine: Engine,
  { endpoint }: EngineContext
): Promise<string | undefined> {
  return (await whyNotHere(engine, endpoint)) ?? (await findOtherJobs())
}

/** Ends a post step that may remove nothing. */
export function leaveAll({ world }: Step, problem: string): Ending {
  const warning = messages.nothingRemovedAfterJob(problem)
  world.log.warning(warning)
  return { ...nothingDone, summary: renderNothing(warning.text) }
}
