import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Docker } from '../docker/cli.ts'
import { whyNotHere } from '../host/here.ts'
import { listContents } from '../docker/contents.ts'
import type { EngineContext } from '../model/inventory.ts'
import { parseJson, writeJsonFile } from '../files.ts'
import type { Engine } from '../model/inventory.ts'
import type { EngineContents } from '../model/policy.ts'
import { findOtherJobs } from '../host/workers.ts'

const names = z.array(z.string()).transform((list) => new Set(list))

/** What main writes down for the post step: what the engine held, or why nothing may be removed after the job. */
const snapshotSchema = z.object({
  version: z.literal(1),
  engine: z.object({
    id: z.string(),
    endpoint: z.string(),
    rootDir: z.string(),
    store: z.string()
  }),
  before: z.union([
    z.object({ problem: z.string() }),
    z.object({
      containers: names,
      images: names,
      references: names,
      networks: names,
      names,
      volumes: names
    })
  ])
})

export type Snapshot = z.output<typeof snapshotSchema>

/**
 * Writes down what the engine holds before a job, in a new file of the folder. Returns its path, undefined where it
 * could not be written, and what it has.
 */
export async function takeSnapshot(
  docker: Docker,
  engine: Engine,
  context: EngineContext,
  folder: string
): Promise<{
  file: string | undefined
  before: EngineContents | { problem: string }
}> {
  const why = await whyNotAlone(engine, context)
  const before =
    why === undefined ? await listContents(docker) : { problem: why }
  const file = join(folder, `job-${randomUUID()}.json`)
  try {
    await writeJsonFile(file, {
      version: 1,
      engine: identify(engine, context),
      before: 'problem' in before ? before : asLists(before)
    })
    return { file, before }
  } catch (error) {
    const problem = `what is there before the job could not be written down: ${String(error)}`
    return { file: undefined, before: { problem } }
  }
}

function asLists(held: EngineContents): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(held).map(([kind, names]) => [kind, [...names]])
  )
}

/** Reads what main wrote, or why it cannot be used. */
export async function readSnapshot(
  file: string
): Promise<Snapshot | { problem: string }> {
  try {
    const read = snapshotSchema.safeParse(
      parseJson(await readFile(file, 'utf8'))
    )
    return read.success
      ? read.data
      : { problem: `${file} does not tell what was there before the job` }
  } catch (error) {
    return {
      problem: `what was there before the job is not known any more: ${String(error)}`
    }
  }
}

/** What was there before the job, or why nothing may be removed after it. */
export async function findBefore(
  { engine: known, before }: Snapshot,
  engine: Engine,
  context: EngineContext
): Promise<EngineContents | { problem: string }> {
  if ('problem' in before) return before
  const now = identify(engine, context)
  if (JSON.stringify(known) !== JSON.stringify(now))
    return { problem: 'this is another engine than before the job' }
  const problem = await whyNotAlone(engine, context)
  return problem === undefined ? before : { problem }
}

/** Podman gives itself another ID each time that it is asked. */
function identify(
  { kind, id, rootDir, store }: Engine,
  { endpoint }: EngineContext
): Snapshot['engine'] {
  return { id: kind === 'podman' ? '' : id, endpoint, rootDir, store }
}

/** Why this job may not be the only one that uses the engine; undefined where it is. */
async function whyNotAlone(
  engine: Engine,
  { endpoint }: EngineContext
): Promise<string | undefined> {
  return (await whyNotHere(engine, endpoint)) ?? (await findOtherJobs())
}
