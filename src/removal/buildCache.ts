import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { builderOptions, isForeignBuilder } from '../docker/buildCache.ts'
import type { Docker } from '../docker/cli.ts'
import { optional, type Output, wordsOf } from '../docker/errors.ts'
import { readSize } from '../docker/json.ts'
import type { Outcome } from '../model/outcome.ts'

type KeepFlag = '--keep-storage' | '--reserved-space'

/** Which flag says how much of the cache stays: buildx has given it a new name, and the CLI without it knows the old one. */
export async function findKeepFlag(
  docker: Docker,
  builder: string
): Promise<KeepFlag> {
  const args = [...builderPrune, '--help']
  const help = await optional(docker(args, builderOptions(builder)))
  return help?.stdout.includes('--reserved-space')
    ? '--reserved-space'
    : '--keep-storage'
}

const builderPrune = ['builder', 'prune'] as const

/**
 * The arguments of the only prune there is no other way for. They work with every CLI, with and without buildx; without
 * `--all`, which drops what images share: that frees nothing and costs rebuilds. Durations in milliseconds, size in bytes.
 */
export function pruneArguments(
  until: number,
  keep: number,
  keepFlag: KeepFlag = '--keep-storage'
): string[] {
  return [
    ...builderPrune,
    '--force',
    '--filter',
    `until=${(until / 1_000).toFixed(3)}s`,
    ...(keep > 0 ? [keepFlag, String(keep)] : [])
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
}: PruneOptions): Promise<Outcome> {
  if (await isForeignBuilder(docker, builder))
    return changed(
      `the builder ${builder} of buildx has the name of the context and is not the engine's own`
    )
  // What was used since the listing is not in the plan.
  const idle = () => until + Date.now() - lookedAt
  const output = await prune(docker, builder, idle, keep)
  const words = wordsOf(output, 'builder prune')
  if (output.exitCode === 0) {
    const freed = readTotal(output.stdout)
    const removedRecords = readPruned(output.stdout)
    if (freed === 0 && removedRecords.length === 0)
      return { outcome: 'gone', detail: 'the builder found nothing to remove' }
    return freed === undefined
      ? { outcome: 'removed', detail: 'the builder did not say how much' }
      : {
          outcome: 'removed',
          freed,
          removedRecords,
          detail: 'as many records as the builder found'
        }
  }
  if (await hasPruneFilters(configFolder))
    return changed(
      `pruneFilters in Docker's config.json contradict the input until: ${words}`
    )
  return { outcome: 'failed', detail: words }
}

/** Prunes with buildx; where that is broken, or missing although DOCKER_BUILDKIT asks for it, by the CLI's own means. */
async function prune(
  docker: Docker,
  builder: string,
  idle: () => number,
  keep: number
): Promise<Output> {
  const flag = keep > 0 ? await findKeepFlag(docker, builder) : undefined
  const output = await docker(pruneArguments(idle(), keep, flag), {
    limit: Infinity,
    ...builderOptions(builder)
  })
  if (output.exitCode === 0) return output
  const own = await docker(pruneArguments(idle(), keep), {
    limit: Infinity,
    env: { DOCKER_BUILDKIT: '0' }
  })
  return own.exitCode === 0 ? own : output
}

function changed(detail: string): Outcome {
  return { outcome: 'kept', reason: 'changed', detail }
}

/** The IDs of the records that a prune says it removed: one at the start of each line. */
export function readPruned(text: string): string[] {
  return text
    .split('\n')
    .flatMap((line) => /^[a-z0-9]{20,}(?=\*?(?:\s|$))/.exec(line) ?? [])
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
