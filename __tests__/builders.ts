import { defaults } from '../src/model/inputs.ts'
import { keep, remove, type Decision } from '../src/model/decision.ts'
import type {
  CacheRecord,
  Container,
  Image,
  Inventory,
  Network,
  Volume
} from '../src/model/inventory.ts'
import type { EngineContents } from '../src/model/policy.ts'
import type { Kind } from '../src/model/kinds.ts'
import type { PlanItem } from '../src/model/plan.ts'
import { makePlan } from '../src/policy/plan.ts'
import type { Policy } from '../src/model/policy.ts'
import type { PullRequests } from '../src/model/policy.ts'
import { heldByInput, heldBytes } from '../src/report/ownBytes.ts'
import type { Report, Resource } from '../src/report/schema.ts'
import type { SummaryFacts } from '../src/report/summary.ts'

// Builders with defaults; a test overrides only the fields it cares about.

export const now = Date.UTC(2026, 0, 31, 12)
export const minute = 60_000
export const hour = 60 * minute
export const day = 24 * hour
const old = now - 30 * day

export function container(
  id: string,
  parts: Partial<Container> = {}
): Container {
  return {
    id,
    name: `name-of-${id}`,
    state: 'exited',
    createdAt: old,
    startedAt: old,
    finishedAt: old,
    restartPolicy: '',
    autoRemove: false,
    restarts: 0,
    labels: {},
    image: '',
    imageReference: '',
    mountedImages: [],
    networks: [],
    volumes: [],
    binds: [],
    joins: [],
    execs: [],
    ...parts
  }
}

export function image(id: string, parts: Partial<Image> = {}): Image {
  return {
    id,
    references: [],
    digests: [],
    aliases: [],
    parent: undefined,
    createdAt: old,
    // The engine sets this when an image is tagged locally, but not when it is pulled.
    taggedAt: parts.pulled ? undefined : old,
    labels: {},
    bytes: 0,
    layers: [],
    pulled: false,
    byBuildKit: false,
    ...parts
  }
}

export function network(id: string, parts: Partial<Network> = {}): Network {
  return {
    id,
    name: `name-of-${id}`,
    scope: 'local',
    createdAt: old,
    labels: {},
    ingress: false,
    configFrom: undefined,
    containers: [],
    ...parts
  }
}

export function volume(name: string, parts: Partial<Volume> = {}): Volume {
  return {
    name,
    driver: 'local',
    createdAt: old,
    labels: {},
    options: {},
    mountpoint: `/volumes/${name}/_data`,
    ...parts
  }
}

export function cacheRecord(parts: Partial<CacheRecord> = {}): CacheRecord {
  return {
    id: 'record',
    parents: [],
    bytes: 100,
    idle: { least: day, most: day },
    inUse: false,
    shared: false,
    base: false,
    internal: false,
    rewritable: false,
    ...parts
  }
}

export function inventory(parts: Partial<Inventory> = {}): Inventory {
  return {
    engine: {
      kind: 'docker',
      name: 'runner',
      id: 'id',
      version: '28.5.2',
      store: 'overlay2',
      now,
      rootDir: '',
      kernel: '',
      takesParents: false,
      swarm: 'none',
      logsBuilds: true
    },
    containers: [],
    services: [],
    images: [],
    networks: [],
    volumes: [],
    buildCache: { records: [] },
    events: [],
    ledger: undefined,
    remembers: false,
    unreadable: [],
    oldestJob: Infinity,
    self: undefined,
    ...parts
  }
}

/** A policy that removes everything, unless the test overrides it. */
export function policy(parts: Partial<Policy> = {}): Policy {
  return {
    scope: { kind: 'engine' },
    ignored: [],
    keepLast: 0,
    until: { duration: hour },
    ageFrom: 'last-used',
    protectedLabels: [],
    protectedImages: [],
    includeContainers: true,
    includeImages: true,
    includeNetworks: true,
    includeVolumes: 'all',
    includeBuilders: 'all',
    includeBuildCache: true,
    buildCacheKeep: 0,
    rules: [],
    maxRemovals: undefined,
    whenFreeBelow: undefined,
    untilFreeAbove: undefined,
    ...parts
  }
}

/** Plans with the given inventory and policy, and returns the decision for one resource. */
export function decisionOf(
  id: string,
  held: Partial<Inventory>,
  wanted: Partial<Policy> = {}
) {
  const { items } = makePlan(inventory(held), policy(wanted))
  return items.find((one) => one.id === id)?.decision
}

export function item(
  kind: Kind,
  id: string,
  decision: Decision = remove('expired', 'old')
): PlanItem {
  return {
    kind,
    id,
    name: id,
    decision,
    idle: day,
    bytes: 0
  }
}

/** The pull request scope of `acme/web`; by default, number 1 is closed. */
export function pullRequests(parts: Partial<PullRequests> = {}): PullRequests {
  return {
    kind: 'pull-request',
    repository: 'acme/web',
    numbers: new Map([[1, 'closed']]),
    patterns: ['pr-{number}', 'pr-{number}-*', '*-pr-{number}'],
    ...parts
  }
}

/** The snapshot taken before a job; empty by default. */
export function held(parts: Partial<EngineContents> = {}): EngineContents {
  return {
    containers: new Set(),
    images: new Set(),
    references: new Set(),
    networks: new Set(),
    names: new Set(),
    volumes: new Set(),
    ...parts
  }
}

export const kept = keep('recent', 'young')

export function resource(parts: Partial<Resource> = {}): Resource {
  return {
    kind: 'image',
    id: 'sha256:1',
    name: 'app:1',
    references: ['app:1'],
    action: 'remove',
    outcome: 'removed',
    reason: 'expired',
    detail: 'created 3 days ago',
    bytes: 1_000_000,
    idle: 3 * day,
    ...parts
  }
}

export function makeTestReport(
  resources: Resource[],
  parts: Partial<Report['totals']> = {}
): Report {
  const removed = resources.filter(({ outcome }) => outcome === 'removed')
  return {
    version: 1,
    dryRun: false,
    host: 'runner-1',
    action: { version: '1.0.0' },
    scope: 'engine',
    engine: { name: 'runner', id: 'id', version: '28.5.2', store: 'overlay2' },
    disks: [],
    startedAt: '2026-01-31T12:00:00.000Z',
    finishedAt: '2026-01-31T12:00:21.000Z',
    resources,
    totals: {
      plannedBytes: 0,
      reclaimedBytes: removed.reduce(
        (total, { bytes }) => total + (bytes ?? 0),
        0
      ),
      removedContainers: 0,
      removedImages: removed.length,
      untaggedReferences: 0,
      removedNetworks: 0,
      removedVolumes: 0,
      removedBuilders: 0,
      failed: resources.filter(({ outcome }) => outcome === 'failed').length,
      freeBytesBefore: null,
      freeBytesAfter: null,
      skipped: false,
      ...parts
    }
  }
}

export function facts(
  resources: Resource[],
  parts: Partial<SummaryFacts> = {}
): SummaryFacts {
  const report = parts.report ?? makeTestReport(resources)
  return {
    report,
    inputs: defaults,
    held: heldBytes({ images: [] }, report.resources),
    heldByInput: heldByInput({ images: [] }, report.resources),
    warnings: [],
    notes: [],
    podman: undefined,
    error: undefined,
    ...parts
  }
}
