import { DockerError, type Output, wordsOf } from '../docker/errors.ts'
import type { Outcome } from '../model/outcome.ts'
import type { Change } from './recheck.ts'

/** Words by which the engine refuses because of a use, which no listing may show yet. */
const used =
  /in use|being used|is using|referenced in|more than one tag|active endpoints|dependent (?:child|containers)|infra container of pod|is running|a running container|is paused|paused container|is restarting|already in progress/i

export function readRefusal(output: Output, command: string): Outcome {
  const detail = wordsOf(output, command)
  return used.test(detail) ? kept(detail) : { outcome: 'failed', detail }
}

export function readChange(change: Change): Outcome {
  return change === 'gone' ? { outcome: 'gone' } : kept(change.changed)
}

export function kept(detail: string): Outcome {
  return { outcome: 'kept', reason: 'changed', detail }
}

export function asDockerError(error: unknown): DockerError {
  // Whatever went wrong, the run still reports what it has done.
  return error instanceof DockerError
    ? error
    : new DockerError('failed', { text: String(error) })
}
