import type { Decision } from '../../model/decision.ts'
import type {
  Container,
  Image,
  Network,
  Volume
} from '../../model/inventory.ts'

/**
 * What a scope says of each resource: it stays, because it does not belong; or it belongs, and goes for that (of an
 * image perhaps some references alone), unless another rule keeps it. Undefined: the scope says nothing, age decides.
 */
export type ScopeRules = {
  container: (container: Container) => Decision | undefined
  image: (image: Image) => Decision | undefined
  /** `users` are all containers that need it, those that go as well. */
  network: (
    network: Network,
    users: readonly Container[]
  ) => Decision | undefined
  volume: (volume: Volume, users: readonly Container[]) => Decision | undefined
  builder: () => Decision | undefined
  buildCache: () => Decision | undefined
}
