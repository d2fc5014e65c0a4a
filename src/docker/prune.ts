import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Docker } from './cli.ts'
import { builderOptions } from './inventory.ts'
import type { Fate } from './removal.ts'
import { readSize } from './schemas.ts'

/**
 * The arguments of the only prune there is no other way for. They work with every CLI, with and without buildx; without
 * `--all`, which drops what images share: that frees nothing and costs rebuilds. Durations in milliseconds, size in bytes.
 */
export function pruneArguments(until: number, keep: number): string[] {
  return [
    'builder',
    'prune',
    '--force',
    '--filter',
    `until=${(until / 1_000).toFixed(3)}s`,
    ...(keep > 0 ? ['--keep-storage', String(keep)] : [])
  ]
}

/** What is to be pruned, and where. Durations in milliseconds, sizes in bytes. */
export type PruneOptions = {
  docker: Docker
  /** The engine's own builder. */
  builder: string
  /** When the listing began, as Date.now() counts. */
  lookedAt: number
  /** How long a record must have been idle then. */
  until: number
  keep: number
  /** The folder of Docker's config.json. */
  configFolder: string
}

/** Prunes the engine's own build cache of what had been idle for `until` when it was listed. */
export async function pruneBuildCache({
  docker,
  builder,
  lookedAt,
  until,
  keep,
  configFolder
}: PruneOptions): Promise<Fate> {
  // What was used since the listing is not in the plan.
  const idle = until + Date.now() - lookedAt
  const output = await docker(pruneArguments(idle, keep), {
    limit: Infinity,
    ...builderOptions(builder)
  })
  const words = output.stderr.trim() || `exit code ${output.exitCode}`
  if (output.exitCode === 0) {
    const freed = readTotal(output.stdout) ?? 0
    return freed > 0
      ? { outcome: 'removed', freed }
      : { outcome: 'gone', detail: 'the builder found nothing to remove' }
  }
  if (/already running/i.test(words)) return changed('another prune is running')
  if (await hasPruneFilters(configFolder))
    return changed(
      `pruneFilters in Docker's config.json contradict the input until: ${words}`
    )
  return { outcome: 'failed', detail: words }
}

function changed(detail: string): Fate {
  return { outcome: 'kept', reason: 'changed', detail }
}

/** What a prune says that it freed, in bytes: `Total:` with buildx, `Total reclaimed space:` without. */
export function readTotal(text: string): number | undefined {
  const [, size] = /^Total(?: reclaimed space)?:(.+)$/m.exec(text) ?? []
  return size === undefined ? undefined : readSize(size)
}

const configSchema = z.object({ pruneFilters: z.array(z.string()).min(1) })

/** The CLI adds the filters of its configuration to ours; two of a kind it does not take. */
async function hasPruneFilters(folder: string): Promise<boolean> {
  try {
    const text = await readFile(join(folder, 'config.json'), 'utf8')
    return configSchema.safeParse(JSON.parse(text)).success
  } catch {
    return false
  }
}
