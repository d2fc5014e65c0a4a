/** Everything on an engine that decisions need. Sizes in bytes, instants in milliseconds since 1970. */
export type Inventory = {
  engine: Engine
  containers: Container[]
  /** Swarm services, each as a container that never ends; undefined if no manager lists them. */
  services: Container[] | undefined
  images: Image[]
  networks: Network[]
  volumes: Volume[]
  /** The engine did not list its volumes in time, and no input includes them. */
  withoutVolumes?: true
  buildCache: BuildCache
  /** The engine's event log, oldest first. */
  events: EngineEvent[]
  /** The ledger of earlier runs; undefined without one. */
  ledger: LedgerEntry[] | undefined
  /** Whether the next run will know what this one saw. */
  remembers: boolean
  unreadable: Unreadable[]
  /** When the oldest running job of GitHub's runner began; Infinity if none runs, undefined if unknown. */
  oldestJob: number | undefined
  /** The ID of the container that this process runs in. */
  self: string | undefined
}

/** A resource that the engine lists and cannot inspect. A volume's ID is its name. */
export type Unreadable = {
  kind: 'image' | 'network' | 'volume'
  id: string
  references?: string[]
}

export type Engine = {
  kind: 'docker' | 'podman'
  name: string
  id: string
  version: string
  /** `containerd` for the containerd image store, else the name of the storage driver (`overlay2`). */
  store: string
  /** The engine's clock at the start of the listing. */
  now: number
  /** DockerRootDir, a path on the engine's host. */
  rootDir: string
  kernel: string
  /** A socket. */
  containerdAddress?: string
  /** Podman 4: `image rm` removes untagged parents, too, in spite of `--no-prune`. */
  takesParents: boolean
  swarm: 'none' | 'manager' | 'worker'
  /** The event log has builds; before Docker 23 it lacks those by BuildKit. */
  logsBuilds: boolean
}

export type Container = {
  id: string
  name: string
  service?: true
  /** It cannot be inspected; the rest is from the listing. */
  unreadable?: true
  /** created, running, paused, restarting, removing, exited, dead; Podman: stopped for a moment after the end. */
  state: string
  createdAt: number | undefined
  startedAt: number | undefined
  finishedAt: number | undefined
  /** The name of its restart policy: empty or `no` for none. */
  restartPolicy: string
  /** Started with `--rm`: the engine removes it once it exits, with its anonymous volumes. */
  autoRemove: boolean
  /** Restarts by the engine itself (`--restart`) since somebody last started it. */
  restarts: number
  labels: Labels
  /** The image's ID, and the reference as typed, which may mean another image by now. */
  image: string
  imageReference: string
  /** References or IDs (`--mount type=image`). */
  mountedImages: string[]
  /** Names and IDs; a container that never started has no IDs. */
  networks: string[]
  volumes: string[]
  /** Mounted folders of the host. */
  binds: string[]
  /** Containers without which it does not start, by name, ID or the start of an ID (see `ways`). */
  joins: string[]
  /** IDs of its `docker exec` processes; undefined if unknown. */
  execs: string[] | undefined
}

export type Image = {
  id: string
  /** Every tag and digest that holds it on the engine; none for a dangling image. */
  references: string[]
  /** Every `repository@digest`; the containerd store makes them up from the tags. */
  digests: string[]
  /** Other names that find it: on Podman `app:1` for `localhost/app:1`. */
  aliases: string[]
  parent: string | undefined
  createdAt: number | undefined
  taggedAt: number | undefined
  labels: Labels
  /** With all its layers, shared ones too. */
  bytes: number
  /**
   * The packed layers among these, which only the containerd store keeps beside the unpacked ones. All of it if the
   * image is not unpacked, or as long as the share is unknown (see `imagesToSplit`).
   */
  packedBytes?: number
  /** Content IDs, lowest layer first. */
  layers: string[]
  /** It came, or may have come, from a registry. */
  pulled: boolean
  /** BuildKit's cache may hold the same layers. */
  byBuildKit: boolean
  /** All of this is from an earlier run; the listing confirms the references only. */
  remembered?: boolean
}

export type Network = {
  id: string
  name: string
  scope: string
  createdAt: number | undefined
  labels: Labels
  ingress: boolean
  /** The name of the network that it is configured from. */
  configFrom: string | undefined
  /** IDs of the running containers on it, from the network's own record. */
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

/** The memory of an image or a network (by ID) or a volume (by name). */
export type LedgerEntry = {
  id: string
  /** When a run first saw it. */
  since: number
  /** An earlier run had not seen it: it came shortly before. */
  arrived: boolean
  /** Its latest use. */
  usedAt?: number | undefined
}

export type EngineEvent = {
  at: number
  /** image, container, network, volume and others. */
  type: string
  action: string
  /** The ID, of a volume the name, of a pull the reference. */
  id: string
  /** Events of containers: the image as typed. */
  image: string
  /** Events of tags: the reference. */
  name?: string
  /** Events of networks and volumes: the container's ID. */
  container?: string
}

/** `records` is undefined if the engine does not list them, or not in time. */
export type BuildCache = { records: CacheRecord[] | undefined }

export type CacheRecord = {
  id: string
  /** The records that it was built on, as far as known: they cannot go before it. */
  parents: string[]
  bytes: number
  /** A range: some commands print "About an hour ago". */
  idle: { least: number; most: number }
  inUse: boolean
  /** An image has the same data: while it stays, removing the record frees nothing. */
  shared: boolean
  /** A layer of a base image. */
  base: boolean
  /** Docker's prune skips it without `--all`. */
  internal: boolean
  /** Builds write to it again. The first listing after a build counts as a use, so that the next prune skips it. */
  rewritable: boolean
}

export type Labels = Record<string, string>

/** The CLI's context. Its name is also that of the engine's own builder. */
export type EngineContext = { name: string; endpoint: string }

/** The bytes that a container has written, without its log, and where that is. */
export type Written = { bytes: number; logPath: string; logDriver: string }

/**
 * The memory of an image: its ID fixes its labels and layers. `image` is kept only for stores that are slow to inspect,
 * `layerSizes` only once measured.
 */
export type ImageFacts = {
  image?: Image | undefined
  layerSizes?: readonly number[] | undefined
}

/** An engine of which nothing is listed. */
export function emptyInventory(engine: Engine): Inventory {
  return {
    ...{ engine, containers: [], services: [], images: [], networks: [] },
    ...{ volumes: [], buildCache: { records: [] }, events: [], unreadable: [] },
    ...{ ledger: undefined, remembers: false, oldestJob: undefined },
    self: undefined
  }
}

export function byKey<T>(
  things: readonly T[],
  key: (thing: T) => string
): Map<string, T> {
  return new Map(things.map((thing) => [key(thing), thing]))
}
