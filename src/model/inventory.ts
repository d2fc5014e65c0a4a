/** What an engine holds, as the policy needs it. Sizes in bytes, instants in milliseconds since 1970. */
export type Inventory = {
  engine: Engine
  containers: Container[]
  /** Of a swarm: each as a container that never ends. Undefined where there is a swarm that nobody can ask. */
  services: Container[] | undefined
  images: Image[]
  networks: Network[]
  volumes: Volume[]
  /** The engine did not list its volumes in time, and nobody needs them. */
  withoutVolumes?: true
  buildCache: BuildCache
  /** What the engine's event log still has, the oldest first. */
  events: EngineEvent[]
  /** What earlier runs have seen on this engine; undefined where there was none that remembered. */
  ledger: LedgerEntry[] | undefined
  /** Whether what this run sees is remembered for the next one. */
  remembers: boolean
  unreadable: Unreadable[]
  /** When the oldest of the runner's jobs began that still run; Infinity for none, undefined where nobody can see. */
  oldestJob: number | undefined
}

/** What the engine lists and cannot inspect; of a volume the name is the ID. */
export type Unreadable = {
  kind: 'image' | 'network' | 'volume'
  id: string
  references?: string[]
}

export type Engine = {
  /** Podman offers Docker's API, and is not quite Docker. */
  kind: 'docker' | 'podman'
  name: string
  id: string
  version: string
  /** `containerd` for the containerd image store, else the name of the storage driver (`overlay2`). */
  store: string
  /** The engine's clock when it was asked. */
  now: number
  /** The folder that holds all it has, as the engine sees it. */
  rootDir: string
  kernel: string
  /** The socket of the containerd that it uses. */
  containerdAddress?: string
  /** It takes untagged parents along with an image, whatever it was told. */
  takesParents: boolean
  swarm: 'none' | 'manager' | 'worker'
  /** A build of a tag is in its event log: before Docker 23, one by BuildKit is not. */
  logsBuilds: boolean
}

export type Container = {
  id: string
  name: string
  /** A service of a swarm, which needs things as a container does. */
  service?: true
  /** It cannot be inspected: only what the listing says is known. */
  unreadable?: true
  /** created, running, paused, restarting, removing, exited or dead; Podman's stopped for a moment after its end. */
  state: string
  createdAt: number | undefined
  startedAt: number | undefined
  finishedAt: number | undefined
  /** How often the engine has started it again by itself (`--restart`) since somebody last started it. */
  restarts: number
  labels: Labels
  /** The image's ID, and the reference as it was typed, which may mean another image by now. */
  image: string
  imageReference: string
  /** References or IDs of images that are mounted (`--mount type=image`). */
  mountedImages: string[]
  /** Names and IDs: one that was never started has no IDs (Docker sets them at the start). */
  networks: string[]
  volumes: string[]
  /** Folders of the host that are mounted. */
  binds: string[]
  /** IDs, or the start of one, or names of containers that it names (see `ways`): without them it does not start. */
  joins: string[]
  /** IDs of the processes that `docker exec` runs in it; undefined where the engine does not tell. */
  execs: string[] | undefined
}

export type Image = {
  id: string
  /** Every tag and digest by which the engine holds it; none for a dangling image. */
  references: string[]
  /** Every `repository@digest` that it is known by: the containerd store makes them up from the tags. */
  digests: string[]
  /** What people call it as well: Podman finds `localhost/app:1` for `app:1`. */
  aliases: string[]
  parent: string | undefined
  createdAt: number | undefined
  taggedAt: number | undefined
  labels: Labels
  /** What it takes with all its layers, also those that others have. */
  bytes: number
  /**
   * How much of that are packed layers; only the containerd store has them beside the unpacked ones. All of it where
   * the image is not unpacked, or nothing says how much is (see `imagesToSplit`).
   */
  packedBytes?: number
  /** The layers' content IDs, the lowest first. */
  layers: string[]
  /** It came from a registry, or may have come (as far as the store tells). */
  pulled: boolean
  /** Built by BuildKit, whose cache may hold the same layers. */
  byBuildKit: boolean
  /** An earlier run was told all of this; that it has the same references now, the listing tells, and nothing else. */
  remembered?: boolean
}

export type Network = {
  id: string
  name: string
  scope: string
  createdAt: number | undefined
  labels: Labels
  ingress: boolean
  /** The network that this one takes its configuration from. */
  configFrom: string | undefined
  /** IDs of the running containers on it, as the network tells. */
  containers: string[]
}

export type Volume = {
  name: string
  driver: string
  createdAt: number | undefined
  labels: Labels
  options: Record<string, string>
  mountpoint: string
}

/** What is remembered of an image or a network (by its ID) or of a volume (by its name). */
export type LedgerEntry = {
  id: string
  /** When it was first seen. */
  since: number
  /** It was not there at an earlier look: it came shortly before it was first seen. */
  arrived: boolean
  /** When its latest use was. */
  usedAt?: number | undefined
}

/** Something that the engine says happened. */
export type EngineEvent = {
  at: number
  /** image, container, network, volume and others. */
  type: string
  action: string
  /** The ID, or the name where that is the ID; of a pull the reference. */
  id: string
  /** Of a container: its image as it was typed. */
  image: string
  /** Of a network or a volume: the container that it was about. */
  container?: string
}

/** Undefined records: the engine has none to tell of, or was too slow to tell. */
export type BuildCache = { records: CacheRecord[] | undefined }

export type CacheRecord = {
  id: string
  /** The records that it was built on, as far as the engine tells: they cannot go before it. */
  parents: string[]
  bytes: number
  /** How long ago it was last used, at least and at most: some commands print "About an hour ago". */
  idle: { least: number; most: number }
  inUse: boolean
  /** An image has the same data: removing the record frees nothing as long as the image stays. */
  shared: boolean
  /** It is a layer of an image that something was built on. */
  base: boolean
  /** Docker's prune passes these over unless it is told `--all`. */
  internal: boolean
  /** Builds write to it again: its first listing after one counts as a use, and the prune that follows passes it over. */
  rewritable: boolean
}

export type Labels = Record<string, string>

/** The CLI's context: its name, which is that of the engine's own builder as well, and where it sends its calls. */
export type EngineContext = { name: string; endpoint: string }

/** The bytes that a container has written, without its log, and where the engine says that the log is. */
export type Written = { bytes: number; logPath: string; logDriver: string }

/**
 * What an earlier run was told of an image, by its ID: its labels and layers are fixed by that. The image itself is
 * there only where the store takes long to tell of it, the sizes of its layers only where they were asked for.
 */
export type ImageFacts = {
  image?: Image | undefined
  layerSizes?: readonly number[] | undefined
}

/** A map of things by their ID, or by what else each of them is known by. */
export function byKey<T>(
  things: readonly T[],
  key: (thing: T) => string
): Map<string, T> {
  return new Map(things.map((thing) => [key(thing), thing]))
}
