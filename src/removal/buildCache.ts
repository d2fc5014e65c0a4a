import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { builderOptions, isForeignBuilder } from '../docker/buildCache.ts'
import type { Docker } from '../docker/cli.ts'
import { optional, type Output, wordsOf } from '../docker/errors.ts'
import { readSize } from '../docker/json.ts'
import type { CacheRecord } from '../model/inventory.ts'
import type { Outcome } from '../model/outcome.ts'
import type { PlanItem } from '../model/plan.ts'
import { count } from '../words.ts'
import { asDockerError, kept } from './refusal.ts'
import {
  fail,
  isEndedByDeadline,
  record,
  recordedResults,
  type Session,
  whyOver
} from './session.ts'

/** Lists what is left of the cache once images are gone: it shows how much their removal freed. */
export async function listCacheAfterImages(
  session: Session,
  list: (docker: Docker) => Promise<CacheRecord[] | undefined>
): Promise<CacheRecord[] | undefined> {
  const { records } = session.inventory.buildCache
  const shares = records?.some(({ shared }) => shared)
  const freed = recordedResults(session).some(
    ({ item, outcome }) => item.kind === 'image' && outcome === 'removed'
  )
  if (!shares || !freed || whyOver(session)) return undefined
  try {
    return await list(session.docker)
  } catch {
    // Without the list, only what is certain counts as freed.
    return undefined
  }
}

export async function removeBuildCache(
  session: Session,
  item: PlanItem,
  options: Omit<PruneOptions, 'docker'>
): Promise<void> {
  const { docker } = session
  if (whyOver(session)) return
  const prune = () => pruneBuildCache({ docker, ...options })
  record(session, item, await attemptPrune(session, prune))
}

/** The outcome of a prune, also where a call breaks off. */
export async function attemptPrune(
  session: Session,
  prune: () => Promise<Outcome>
): Promise<Outcome> {
  try {
    return await prune()
  } catch (error) {
    const broken = asDockerError(error)
    if (isEndedByDeadline(session, broken))
      return {
        outcome: 'kept',
        reason: 'budget',
        detail:
          'the engine was still removing records when the timeout was reached',
        heldBy: 'timeout'
      }
    fail(session, broken)
    return { outcome: 'failed', detail: broken.message }
  }
}

type KeepFlag = '--keep-storage' | '--reserved-space'

/** Finds the flag for the size of the cache that stays: newer versions of buildx have renamed it. */
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

// Every CLI accepts these, with and without buildx. No --all: it also drops records that share their data with images,
// which frees nothing and costs rebuilds.
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

/** Durations in milliseconds, sizes in bytes. */
export type PruneOptions = {
  docker: Docker
  builder: string
  /** When the listing began, in milliseconds as Date.now() counts. */
  lookedAt: number
  /** How long a record must have been idle at that time. */
  until: number
  keep: number
  configFolder: string
}

export async function pruneBuildCache({
  docker,
  builder,
  lookedAt,
  until,
  keep,
  configFolder
}: PruneOptions): Promise<Outcome> {
  if (await isForeignBuilder(docker, builder))
    return kept(
      `buildx builder ${builder} shares the context's name, but is not the engine's own`
    )
  // The plan has no records that were used after the listing.
  const idle = () => until + Date.now() - lookedAt
  const output = await prune(docker, builder, idle, keep)
  const words = wordsOf(output, 'builder prune')
  if (output.exitCode === 0) {
    const freed = readTotal(output.stdout)
    const removedRecords = readPruned(output.stdout)
    const number = removedRecords.length
    if (freed === 0 && number === 0)
      return { outcome: 'gone', detail: 'the builder found nothing to remove' }
    return freed === undefined
      ? {
          outcome: 'removed',
          detail: 'the builder did not report the bytes freed'
        }
      : {
          outcome: 'removed',
          freed,
          removedRecords,
          ...(number > 0 && { detail: count(number, 'record') })
        }
  }
  if (await hasPruneFilters(configFolder))
    return kept(
      `pruneFilters in Docker's config.json conflict with until: ${words}`
    )
  return { outcome: 'failed', detail: words }
}

/** Prunes with buildx; without it if buildx is broken, or missing although DOCKER_BUILDKIT asks for it. */
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

export function readPruned(text: string): string[] {
  return text
    .split('\n')
    .flatMap((line) => /^[a-z0-9]{20,}(?=\*?(?:\s|$))/.exec(line) ?? [])
}

/** Reads how many bytes a prune freed: `Total:` with buildx, `Total reclaimed space:` without. */
export function readTotal(text: string): number | undefined {
  const [, size] = /^Total(?: reclaimed space)?:(.+)$/m.exec(text) ?? []
  return size === undefined ? undefined : readSize(size)
}

const configSchema = z.object({ pruneFilters: z.array(z.string()).min(1) })

/** Docker's configuration can add filters to the prune; it rejects a filter of a kind that is given twice. */
async function hasPruneFilters(folder: string): Promise<boolean> {
  try {
    const text = await readFile(join(folder, 'config.json'), 'utf8')
    return configSchema.safeParse(JSON.parse(text)).success
  } catch {
    return false
  }
}
