import type { Decision } from '../../model/decision.ts'
import type {
  Container,
  Image,
  Network,
  Volume
} from '../../model/inventory.ts'

/**
 * How a scope decides on each kind of resource: keep, because it does not belong; remove (or untag an image), because
 * it does, unless another rule keeps it; or undefined, then age decides.
 */
export type ScopeRules = {
  container: (container: Container) => Decision | undefined
  image: (image: Image) => Decision | undefined
  /** `users` are all containers that need it, also those that are to be removed. */
  network: (
    network: Network,
    users: readonly Container[]
  ) => Decision | undefined
  volume: (volume: Volume, users: readonly Container[]) => Decision | undefined
  builder: () => Decision | undefined
  buildCache: () => Decision | undefined
}

export function sameForAll(decide: () => Decision | undefined): ScopeRules {
  return {
    container: decide,
    image: decide,
    network: decide,
    volume: decide,
    builder: decide,
    buildCache: decide
  }
}
