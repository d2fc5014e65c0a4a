import { afterAll } from '@jest/globals'
import type { ImageFixture } from '../../../scripts/fixtures/fixtures.ts'
import {
  startRegistry,
  type Registry
} from '../../../scripts/engines/registry.ts'
import type { TestEngine } from './engine.ts'

/** The references of a published image, by tag and by digest. */
export type Published = { tag: string; pinned: string }

/** Provides a registry for a test file, started with the first published image. */
export function useRegistry({
  engine,
  docker,
  load
}: Pick<TestEngine, 'engine' | 'docker' | 'load'>) {
  let registry: Promise<Registry> | undefined

  afterAll(async () => {
    await (await registry)?.stop()
  })

  async function push(tag: string): Promise<Published> {
    const pushed = await docker('push', tag)
    const digest = /sha256:[0-9a-f]{64}/.exec(pushed.split('\n').at(-1) ?? '')
    if (digest === null) throw new Error(`no digest: ${pushed}`)
    return { tag, pinned: `${tag.replace(/:[^:]+$/, '')}@${digest[0]}` }
  }

  return {
    /** Pushes images to the registry, and removes them from the engine. */
    publish: async (images: readonly ImageFixture[]): Promise<Published[]> => {
      registry ??= startRegistry(engine())
      const { address } = await registry
      const there = images.map((image) => ({
        ...image,
        references: image.references.map((name) => `${address}/${name}`)
      }))
      await load(there)
      const tags = there.flatMap(({ references }) => references)
      // The registry refuses two pushes of the same layers at once.
      const published = await Promise.all(
        there.map(async ({ references }) => {
          const ofImage = []
          for (const tag of references) ofImage.push(await push(tag))
          return ofImage
        })
      )
      await docker('image', 'rm', ...tags)
      return published.flat()
    },
    pull: async (references: readonly string[]): Promise<void> => {
      await Promise.all(references.map((one) => docker('pull', one)))
    }
  }
}
