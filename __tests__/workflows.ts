import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'

/** The folder of the workflows to copy. */
export const examples = join(import.meta.dirname, '../examples')

type Step = { uses?: string; with?: Record<string, unknown> }
type Workflow = { jobs?: Record<string, { steps: Step[] }> } | Step[]

/** The inputs of every step of a workflow, or of a list of steps, that uses this action. */
export function inputsIn(text: string): Record<string, string>[] {
  const value = parse(text) as Workflow
  const steps = Array.isArray(value)
    ? value
    : Object.values(value.jobs ?? {}).flatMap((job) => job.steps)
  return steps
    .filter(({ uses }) => uses === 'OWNER/docker-reclaim@main')
    .map(({ with: inputs = {} }) =>
      Object.fromEntries(
        Object.entries(inputs).map(([name, input]) => [name, String(input)])
      )
    )
}

/** The inputs of every step of an example that uses this action. */
export async function inputsOf(
  example: string
): Promise<Record<string, string>[]> {
  return inputsIn(await readFile(join(examples, example), 'utf8'))
}
