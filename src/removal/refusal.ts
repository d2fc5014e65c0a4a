import { DockerError, type Output, wordsOf } from '../docker/errors.ts'
import type { Outcome } from '../model/outcome.ts'
import type { Change } from './recheck.ts'

/** Words of the engine about a use that no listing shows yet. */
const used =
  /in use|being used|is using|referenced in|more than one tag|active endpoints|dependent (?:child|containers)|infra container of pod|is running|a running container|is paused|paused container|is restarting|already in progress/i

/** Reads what the engine answered to the removal of one thing that was still there, and still to go. */
export function readRefusal(output: Output, command: string): Outcome {
  const detail = wordsOf(output, command)
  return used.test(detail) ? kept(detail) : { outcome: 'failed', detail }
}

/** What becomes of something that has changed since the plan. */
export function readChange(change: Change): Outcome {
  return change === 'gone' ? { outcome: 'gone' } : kept(change.changed)
}

export function kept(detail: string): Outcome {
  return { outcome: 'kept', reason: 'changed', detail }
}

export function asDockerError(error: unknown): DockerError {
  // Whatever went wrong, what was done until then is still to be reported.
  return error instanceof DockerError
    ? error
    : new DockerError('failed', String(error))
}
