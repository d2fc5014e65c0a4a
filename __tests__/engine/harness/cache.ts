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

type Usage = { BuildCache: { Description: string }[] }

/** The build cache of an engine. */
export function createCache({ api, build }: Pick<TestEngine, 'api' | 'build'>) {
  return {
    /** Builds a layer without a tag and removes the image, so that only the cache has it. */
    fillCache: async (layer: string, megabytes: number): Promise<void> => {
      const image = await build(
        `FROM busybox:1\nRUN dd if=/dev/urandom of=/${layer} bs=1000000 count=${megabytes}\n`,
        { buildKit: true }
      )
      await api().remove(`/images/${image}`)
    },
    /** The names of the layers in the cache. */
    cached: async (): Promise<string[]> => {
      const { BuildCache } = await api().get<Usage>('/system/df')
      return BuildCache.flatMap(
        ({ Description }) => /of=\/(\w+)/.exec(Description)?.[1] ?? []
      ).sort()
    }
  }
}
