import type { CacheRecord, Engine } from '../model/inventory.ts'
import { readCacheRecords, readUsageRecords } from './cacheRecords.ts'
import type { CallOptions, Docker } from './cli.ts'
import { optional } from './errors.ts'
import { costlyLimit, readDiskUsage } from './sizes.ts'

/** Sends a command to the engine's own builder, whatever the current builder is. */
export function builderOptions(builder: string): CallOptions {
  return { env: { BUILDX_BUILDER: builder }, elsewhere: true }
}

/** Whether a created builder has the name of the engine's own, which is that of the context: buildx prefers it. */
export async function isForeignBuilder(
  docker: Docker,
  builder: string
): Promise<boolean> {
  // buildx creates no builder of this name.
  if (builder === 'default') return false
  const output = await optional(
    docker(['buildx', 'inspect', builder], { elsewhere: true })
  )
  const [, driver] = /^Driver:\s*(\S+)/m.exec(output?.stdout ?? '') ?? []
  return driver !== undefined && driver !== 'docker'
}

/**
 * The engine's own build cache; undefined if it is not listed in time. `docker builder` starts one more process, and has
 * no `du` in CLIs of 20.10; `system df` also measures every volume.
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
  return usage && readUsageRecords(usage.BuildCache, engine.now)
}
