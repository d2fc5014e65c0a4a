import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { sum } from '../model/decision.ts'
import type { CacheRecord, Engine } from '../model/inventory.ts'
import { parseHumanAge, parseTime } from '../units.ts'
import {
  orNothing,
  wordsOf,
  type CallOptions,
  type Docker,
  type Output
} from './cli.ts'
import type { Fate } from '../removal/removal.ts'
import { readSize } from './schemas.ts'
import { costlyLimit, readDiskUsage } from './sizes.ts'

/**
 * How to call a command about the build cache: for the engine's own builder, whichever is the current one. It may go
 * to another one all the same, and not find it: that says nothing about the engine.
 */
function builderOptions(builder: string): CallOptions {
  return { env: { BUILDX_BUILDER: builder }, elsewhere: true }
}

/**
 * Whether a builder that somebody made has the name of the engine's own, which is that of the context: buildx looks
 * among those first. `default` it gives to no other.
 */
async function isAnothers(docker: Docker, builder: string): Promise<boolean> {
  if (builder === 'default') return false
  const output = await orNothing(
    docker(['buildx', 'inspect', builder], { elsewhere: true })
  )
  const [, driver] = /^Driver:\s*(\S+)/m.exec(output?.stdout ?? '') ?? []
  return driver !== undefined && driver !== 'docker'
}

/**
 * The records of the engine's own build cache, or undefined where it does not tell. buildx tells at no cost, called by
 * its own name: its alias `builder` starts a process more, and in CLIs of 20.10 knows no `du`. Without it there is only
 * `system df`, which also measures every volume, and so is not waited for long.
 */
export async function listBuildCache(
  docker: Docker,
  engine: Engine,
  builder: string
): Promise<CacheRecord[] | undefined> {
  if (await isAnothers(docker, builder)) return undefined
  const options = { limit: costlyLimit, ...builderOptions(builder) }
  const output = await orNothing(docker(['buildx', 'du', '--verbose'], options))
  if (output === undefined) return undefined
  if (output.exitCode === 0) return readCacheRecords(output.stdout)
  const usage = await readDiskUsage(docker)
  return (
    usage &&
    allOrNothing(
      usage.BuildCache.map((record) => {
        // One that was never used since counts from its creation.
        const usedAt = readLogTime(record.LastUsedAt || record.CreatedAt)
        const idle = usedAt && Math.max(engine.now - usedAt, 0)
        return makeRecord({
          id: record.ID,
          size: record.Size,
          inUse: record.InUse,
          shared: record.Shared,
          type: record.CacheType,
          description: record.Description,
          parents: record.Parent === '' ? [] : [record.Parent],
          idle: idle === undefined ? undefined : { least: idle, most: idle }
        })
      })
    )
  )
}

/** One record from what a command says of it; undefined where that is not understood. */
function makeRecord({
  id,
  size,
  inUse,
  shared,
  type,
  description,
  parents,
  idle = { least: 0, most: Infinity }
}: {
  id: string
  size: string
  inUse: string
  shared: string
  type: string
  description: string
  parents: string[]
  idle: CacheRecord['idle'] | undefined
}): CacheRecord | undefined {
  const bytes = readSize(size)
  const understood = [inUse, shared].every((one) => /^(true|false)$/.test(one))
  if (id === '' || bytes === undefined || !understood) return undefined
  return {
    id,
    parents,
    bytes,
    idle,
    inUse: inUse === 'true',
    shared: shared === 'true',
    base: isBase(type, description),
    internal: type === 'internal' || type === 'frontend',
    rewritable: isRewritable(type, description)
  }
}

/** What some of the records say is worth nothing without the others. */
function allOrNothing(
  records: readonly (CacheRecord | undefined)[]
): CacheRecord[] | undefined {
  const understood = records.filter((one) => one !== undefined)
  return understood.length === records.length ? understood : undefined
}

/**
 * Reads `buildx du --verbose`: blocks of "Key: value" lines, then totals. Undefined where that is not all there is: a
 * description is what a build ran, other people's text of several lines, and could pass for more records.
 */
export function readCacheRecords(text: string): CacheRecord[] | undefined {
  if (text.trim() === '') return []
  const blocks = text
    .split(/\n\s*\n(?=(?:ID|Shared|Private|Reclaimable|Total):)/)
    .map(fieldReader)
  const total = readSize(blocks.pop()?.('Total') ?? '')
  const records = allOrNothing(
    blocks.map((field) =>
      makeRecord({
        id: field('ID'),
        size: field('Size'),
        inUse: { true: 'false', false: 'true' }[field('Reclaimable')] ?? '',
        shared: field('Shared'),
        type: field('Type'),
        description: field('Description'),
        // Older buildx: `Parent: a,b`.
        parents: `${field('Parents')} ${field('Parent')}`
          .split(/[\s,]+/)
          .filter(Boolean),
        idle: parseHumanAge(field('Last used'))
      })
    )
  )
  const added = sum(records?.map(({ bytes }) => bytes) ?? [])
  // All of these are rounded to four digits.
  return total !== undefined && Math.abs(added - total) <= total / 500
    ? records
    : undefined
}

/** Reads the fields of a block; one that it has more than once is empty. */
function fieldReader(block: string): (name: string) => string {
  const lines = block
    // Free text stands here, up to the next field: only its first line is taken.
    .replace(/^(Description:.*)[^]*?(?=\nUsage count:)/m, '$1')
    // The only list of all these.
    .replace(/\n - /g, ' ')
    .split('\n')
    .map((line) => /^([^:]*):(.*)$/.exec(line) ?? [])
  const fields = Map.groupBy(lines, ([, name = '']) => name)
  return (name) => {
    const [line, ...more] = fields.get(name) ?? []
    return more.length === 0 ? (line?.[2] ?? '').trim() : ''
  }
}

/** Records of what a build made say what made them; those of an image that it began with say where that came from, or nothing. */
function isBase(type: string, description: string): boolean {
  return type === 'regular' && /^(?:$|from local|pulled from)/.test(description)
}

/** Cache mounts, and the clones that BuildKit checks contexts out of. */
function isRewritable(type: string, description: string): boolean {
  return type === 'exec.cachemount' || /^shared git repo\b/.test(description)
}

/** `2026-01-31 12:00:00.123456789 +0000 UTC`, as Go prints a time. */
function readLogTime(text: string): number | undefined {
  const [, date = '', time = '', zone = ''] =
    /^(\S+) (\S+) ([+-]\d{4})/.exec(text) ?? []
  return parseTime(`${date}T${time}${zone.slice(0, 3)}:${zone.slice(3)}`)
}

type KeepFlag = '--keep-storage' | '--reserved-space'

/** Which flag says how much of the cache stays: buildx has given it a new name, and the CLI without it knows the old one. */
export async function findKeepFlag(
  docker: Docker,
  builder: string
): Promise<KeepFlag> {
  const args = [...builderPrune, '--help']
  const help = await orNothing(docker(args, builderOptions(builder)))
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
}: PruneOptions): Promise<Fate> {
  if (await isAnothers(docker, builder))
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

function changed(detail: string): Fate {
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
