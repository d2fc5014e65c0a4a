import { setTimeout as sleep } from 'node:timers/promises'
import type { TestEngine } from './engine.ts'

/** Inputs that remove nothing but build cache. */
export const cacheOnly = {
  'include-containers': 'false',
  'include-images': 'false',
  'include-networks': 'false'
}

/** Waits for the next second: newer engines round `until` down to seconds and skip records used in the current one. */
export const nextSecond = () => sleep(1_002 - (Date.now() % 1_000))

type Usage = { BuildCache: { Description: string; Type: string }[] }

/** Helpers that fill and read the build cache of an engine. */
export function createCache({ api, build }: Pick<TestEngine, 'api' | 'build'>) {
  const readRecords = async () =>
    (await api().get<Usage>('/system/df')).BuildCache
  /** Builds an untagged image and removes it, so that only the cache holds its layers. */
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
    /** The names of the cached layers. */
    cached: async (): Promise<string[]> =>
      (await readRecords())
        .flatMap(({ Description }) => /of=\/(\w+)/.exec(Description)?.[1] ?? [])
        .sort(),
    cachedTypes: async (): Promise<string[]> =>
      [...new Set((await readRecords()).map(({ Type }) => Type))].sort()
  }
}

/** A Dockerfile line that writes an incompressible file. */
export const random = (file: string, megabytes: number, ...options: string[]) =>
  [
    ...['RUN', ...options, 'dd', 'if=/dev/urandom', `of=/${file}`],
    ...['bs=1000000', `count=${megabytes}`]
  ].join(' ')
