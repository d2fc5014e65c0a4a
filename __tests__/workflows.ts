import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'

export const examples = join(import.meta.dirname, '../examples')

type Step = { uses?: string; with?: Record<string, unknown> }
type Workflow = { jobs?: Record<string, { steps: Step[] }> } | Step[]

/** Reads the inputs of every step that uses this action, from a workflow or a list of steps. */
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

/** Reads the inputs of every step that uses this action, from an example file. */
export async function inputsOf(
  example: string
): Promise<Record<string, string>[]> {
  return inputsIn(await readFile(join(examples, example), 'utf8'))
}
