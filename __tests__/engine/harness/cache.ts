import { setTimeout as sleep } from 'node:timers/promises'
import type { TestEngine } from './engine.ts'

/** Inputs with which nothing but the build cache can go. */
export const cacheOnly = {
  'include-containers': 'false',
  'include-images': 'false',
  'include-networks': 'false'
}

/**
 * Waits until this second is over. Newer engines round the moment that `until` means down to whole seconds: before
 * that, a prune passes over what was used in this one.
 */
export const nextSecond = () => sleep(1_002 - (Date.now() % 1_000))

type Usage = { BuildCache: { Description: string; Type: string }[] }

/** The build cache of an engine. */
export function createCache({ api, build }: Pick<TestEngine, 'api' | 'build'>) {
  const readRecords = async () =>
    (await api().get<Usage>('/system/df')).BuildCache
  /** Builds an image without a tag and removes it, so that only the cache has its layers. */
  const buildInCache = async (
    lines: readonly string[],
    files: Record<string, Buffer> = {}
  ): Promise<void> => {
    const image = await build(lines.join('\n'), { buildKit: true, files })
    await api().remove(`/images/${image}`)
  }
  return {
    buildInCache,
    fillCache: (layer: string, megabytes: number): Promise<void> =>
      buildInCache(['FROM busybox:1', random(layer, megabytes)]),
    /** The names of the layers in the cache. */
    cached: async (): Promise<string[]> =>
      (await readRecords())
        .flatMap(({ Description }) => /of=\/(\w+)/.exec(Description)?.[1] ?? [])
        .sort(),
    /** The types of the records in the cache. */
    cachedTypes: async (): Promise<string[]> =>
      [...new Set((await readRecords()).map(({ Type }) => Type))].sort()
  }
}

/** A line of a Dockerfile that writes a file which does not shrink when it is packed. */
export const random = (file: string, megabytes: number, ...options: string[]) =>
  [
    ...['RUN', ...options, 'dd', 'if=/dev/urandom', `of=/${file}`],
    ...['bs=1000000', `count=${megabytes}`]
  ].join(' ')
