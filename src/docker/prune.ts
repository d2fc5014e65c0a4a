import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { cacheEnvironment } from './inventory.ts'
import type { RemovalOptions, Result } from './removal.ts'
import { readSize } from './schemas.ts'

/**
 * The arguments of the only prune there is no other way for. They work with every CLI, with and without buildx; without
 * `--all`, which drops what images share: that frees nothing and costs rebuilds. Durations in milliseconds, size in bytes.
 */
export function pruneArguments(
  until: number,
  keep: number | undefined
): string[] {
  return [
    'builder',
    'prune',
    '--force',
    '--filter',
    `until=${(until / 1_000).toFixed(3)}s`,
    ...(keep === undefined ? [] : ['--keep-storage', String(keep)])
  ]
}

/** Prunes the engine's own build cache of what had been idle for `until` when it was listed. */
export async function pruneBuildCache({
  docker,
  until,
  buildCacheKeep,
  lookedAt
}: RemovalOptions): Promise<Omit<Result, 'item'>> {
  // What was used since the listing is not in the plan.
  const idle = until + Date.now() - lookedAt
  const output = await docker(pruneArguments(idle, buildCacheKeep), {
    limit: Infinity,
    env: cacheEnvironment
  })
  const words = output.stderr.trim()
  if (output.exitCode === 0) {
    const freed = readTotal(output.stdout) ?? 0
    return freed > 0
      ? { outcome: 'removed', freed }
      : {
          outcome: 'gone',
          freed,
          detail: 'the builder found nothing to remove'
        }
  }
  if (/already running/i.test(words))
    return {
      outcome: 'kept',
      reason: 'changed',
      detail: 'another prune is running'
    }
  if (await hasPruneFilters())
    return {
      outcome: 'kept',
      reason: 'changed',
      detail: `pruneFilters in Docker's config.json contradict the input until: ${words}`
    }
  return { outcome: 'failed', detail: words || `exit code ${output.exitCode}` }
}

/** What a prune says that it freed, in bytes: `Total:` with buildx, `Total reclaimed space:` without. */
export function readTotal(text: string): number | undefined {
  const [, size] = /^Total(?: reclaimed space)?:(.+)$/m.exec(text) ?? []
  return size === undefined ? undefined : readSize(size)
}

const configSchema = z.object({ pruneFilters: z.array(z.string()).min(1) })

/** The CLI adds the filters of its configuration to ours; two of a kind it does not take. */
async function hasPruneFilters(): Promise<boolean> {
  const folder = process.env['DOCKER_CONFIG'] ?? join(homedir(), '.docker')
  try {
    const config: unknown = JSON.parse(
      await readFile(join(folder, 'config.json'), 'utf8')
    )
    return configSchema.safeParse(config).success
  } catch {
    return false
  }
}
