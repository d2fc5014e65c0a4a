import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { parseJson, writeJsonFile } from '../files.ts'
import type { Engine } from '../model/inventory.ts'
import type { EngineContents } from '../model/policy.ts'
import { engineSchema } from './stateFile.ts'

const names = z.array(z.string()).transform((list) => new Set(list))

const snapshotSchema = z.object({
  version: z.literal(1),
  engine: engineSchema.extend({ id: z.string() }),
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

/** The engine before a job, as the main step saves it for the post step. */
type Snapshot = z.output<typeof snapshotSchema>

/** The contents of an engine, or why nothing may be removed after the job. */
type Before = EngineContents | { problem: string }

/** Writes a new file into the folder. Returns its path, or undefined if it could not be written, and its contents. */
export async function writeSnapshot(
  folder: string,
  engine: Snapshot['engine'],
  before: Before
): Promise<{ file: string | undefined; before: Before }> {
  const file = join(folder, `job-${randomUUID()}.json`)
  try {
    await writeJsonFile(file, {
      version: 1,
      engine,
      before: 'problem' in before ? before : asLists(before)
    })
    return { file, before }
  } catch (error) {
    const problem = `the snapshot from before the job could not be saved (${String(error)})`
    return { file: undefined, before: { problem } }
  }
}

export async function readSnapshot(
  file: string
): Promise<Snapshot | { problem: string }> {
  try {
    const read = snapshotSchema.safeParse(
      parseJson(await readFile(file, 'utf8'))
    )
    return read.success
      ? read.data
      : { problem: `the snapshot from before the job is invalid (${file})` }
  } catch (error) {
    return {
      problem: `the snapshot from before the job could not be read (${String(error)})`
    }
  }
}

/** Identifies an engine from step to step. Podman has a new ID each time. */
export function identify(
  { kind, id, rootDir, store }: Engine,
  endpoint: string
): Snapshot['engine'] {
  return { id: kind === 'podman' ? '' : id, endpoint, rootDir, store }
}

function asLists(held: EngineContents): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(held).map(([kind, names]) => [kind, [...names]])
  )
}
