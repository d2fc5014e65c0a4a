import type { Engine } from '../model/inventory.ts'

/** What engines and their image stores do in different ways. */
export type Traits = {
  /** `image rm repo:tag@ID` takes the tag off only if it still means that ID. */
  comparesTags: boolean
  /** Digests say where an image can be had: others are made up from the tags, for images of no registry as well. */
  digestsAreFromRegistries: boolean
  /** A layer is there twice, and inspect counts the packed one alone, the listing both. */
  packedLayers: boolean
  /** Whether what an earlier run was told of an image is not asked again where the listing shows the same of it. */
  remembersImages: boolean
  /**
   * To find an image takes longer the more there are: for an inspection as for the listing of containers, which looks
   * up the image of each. With a filter only those that it lists are looked up.
   */
  findsImagesSlowly: boolean
  /** The cache of builds is no image, and has commands of its own. */
  buildCache: boolean
}

const traits = {
  storageDriver: {
    comparesTags: false,
    digestsAreFromRegistries: true,
    packedLayers: false,
    remembersImages: true,
    findsImagesSlowly: false,
    buildCache: true
  },
  containerd: {
    comparesTags: true,
    digestsAreFromRegistries: false,
    packedLayers: true,
    remembersImages: true,
    findsImagesSlowly: true,
    buildCache: true
  },
  podman: {
    comparesTags: false,
    digestsAreFromRegistries: false,
    packedLayers: false,
    remembersImages: false,
    findsImagesSlowly: false,
    buildCache: false
  }
} satisfies Record<string, Traits>

export function traitsOf({
  kind,
  store
}: Pick<Engine, 'kind' | 'store'>): Traits {
  if (kind === 'podman') return traits.podman
  return store === 'containerd' ? traits.containerd : traits.storageDriver
}
