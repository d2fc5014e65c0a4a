import type { Engine } from '../model/inventory.ts'

type Traits = {
  /** `image rm repo:tag@ID` untags only if the tag still means that ID. */
  comparesTags: boolean
  /** Elsewhere digests are derived from tags, even for images that were never in a registry. */
  digestsAreFromRegistries: boolean
  /** Layers are stored packed and unpacked: inspect counts the packed ones, listing counts both. */
  packedLayers: boolean
  /** An image inspected by an earlier run is inspected again only if its listing has changed. */
  remembersImages: boolean
  /** The more images, the slower each lookup. Listing containers looks up the image of each one listed. */
  findsImagesSlowly: boolean
  /** Containerd's own tools change images, too, and the engine logs no event (F50). */
  hasOtherTools: boolean
  buildCache: boolean
}

const traits = {
  storageDriver: {
    comparesTags: false,
    digestsAreFromRegistries: true,
    packedLayers: false,
    remembersImages: true,
    findsImagesSlowly: false,
    hasOtherTools: false,
    buildCache: true
  },
  containerd: {
    comparesTags: true,
    digestsAreFromRegistries: false,
    packedLayers: true,
    remembersImages: true,
    findsImagesSlowly: true,
    hasOtherTools: true,
    buildCache: true
  },
  podman: {
    comparesTags: false,
    digestsAreFromRegistries: false,
    packedLayers: false,
    remembersImages: false,
    findsImagesSlowly: false,
    hasOtherTools: false,
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
