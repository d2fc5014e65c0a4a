import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { largestNumber } from '../model/policy.ts'

/** The pull request of the event that triggered the workflow, or why there is none. */
export type PullRequestOfEvent = { number: number } | { problem: string }

const payloadSchema = z.object({
  pull_request: z.object({ number: z.int().min(1).max(largestNumber) })
})

/** Reads the event of the runner. Never throws: only one scope needs a pull request. */
export async function readEvent(
  env: NodeJS.ProcessEnv
): Promise<PullRequestOfEvent> {
  const name = env['GITHUB_EVENT_NAME'] ?? ''
  const file = env['GITHUB_EVENT_PATH'] ?? ''
  if (name !== 'pull_request' && name !== 'pull_request_target')
    return {
      problem:
        name === '' ? 'this run has no event' : `this event (${name}) has none`
    }
  try {
    const payload: unknown = JSON.parse(await readFile(file, 'utf8'))
    return payloadSchema.parse(payload).pull_request
  } catch (error) {
    const why =
      error instanceof z.ZodError ? z.prettifyError(error) : String(error)
    return {
      problem: `cannot read the event file ${file}: ${why.replace(/\s+/g, ' ')}`
    }
  }
}
