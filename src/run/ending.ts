import { DockerError } from '../docker/errors.ts'
import type { Options } from '../inputs/read.ts'
import { InputError } from '../model/inputs.ts'
import { renderFailure } from '../report/summary.ts'
import { type Ending, nothingDone } from './world.ts'

/** The ending of a run that failed before it had anything to report. */
export function endingOf(error: unknown): Ending {
  const failure = describe(error)
  return { ...nothingDone, summary: renderFailure(failure), failure }
}

/** Drops the summary of an ending if the input `job-summary` excludes it. */
export function withWantedSummary(
  ending: Ending,
  jobSummary: Options['jobSummary']
): Ending {
  const wanted =
    jobSummary === 'always' ||
    (jobSummary === 'failures' && ending.failure !== undefined)
  return wanted ? ending : { ...ending, summary: '' }
}

/** The message of an error; with the stack if the fault is ours. */
export function describe(error: unknown): string {
  if (error instanceof InputError || error instanceof DockerError)
    return error.message
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? error.message : (error.stack ?? error.message)
}
