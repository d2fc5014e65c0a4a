import {
  allOrNone,
  makeRecord,
  readCacheRecords,
  readLogTime
} from './cacheRecords.ts'
import type { CallOptions, Docker } from './cli.ts'
import { optional } from './errors.ts'
import { costlyLimit, readDiskUsage } from './sizes.ts'
import type { CacheRecord, Engine } from '../model/inventory.ts'

/**
 * How to call a command about the build cache: for the engine's own builder, whichever is the current one. It may go
 * to another one all the same, and not find it: that says nothing about the engine.
 */
export function builderOptions(builder: string): CallOptions {
  return { env: { BUILDX_BUILDER: builder }, elsewhere: true }
}

/**
 * Whether a builder that somebody made has the name of the engine's own, which is that of the context: buildx looks
 * among those first. `default` it gives to no other.
 */
export async function isForeignBuilder(
  docker: Docker,
  builder: string
): Promise<boolean> {
  if (builder === 'default') return false
  const output = await optional(
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
  if (await isForeignBuilder(docker, builder)) return undefined
  const options = { limit: costlyLimit, ...builderOptions(builder) }
  const output = await optional(docker(['buildx', 'du', '--verbose'], options))
  if (output === undefined) return undefined
  if (output.exitCode === 0) return readCacheRecords(output.stdout)
  const usage = await readDiskUsage(docker)
  return (
    usage &&
    allOrNone(
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
