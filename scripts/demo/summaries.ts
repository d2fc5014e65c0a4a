import { createHash } from 'node:crypto'
import {
  cacheRecord,
  container,
  day,
  hour,
  image,
  inventory,
  minute,
  network,
  now,
  policy,
  volume
} from '../../__tests__/builders.ts'
import { hostileTexts } from '../../__tests__/hostile.ts'
import { diskContents } from '../../src/host/disk.ts'
import type { Fate, Result } from '../../src/removal/removal.ts'
import { defaults, type InputTexts } from '../../src/inputs/schema.ts'
import type { Image, Inventory } from '../../src/model/inventory.ts'
import {
  makePlan,
  measurePlan,
  plannedItems,
  type PlanItem,
  type Sizes
} from '../../src/policy/plan.ts'
import type { Policy } from '../../src/model/policy.ts'
import { heldBytes } from '../../src/report/ownBytes.ts'
import { makeReport, type Report } from '../../src/report/report.ts'
import { renderFailure, renderSummary } from '../../src/report/summary.ts'

// Summaries of runs that were never made, on engines that were made up: the decisions and figures are the action's own.

const megabyte = 1_000_000
const gigabyte = 1_000 * megabyte

/** An engine, and what it says when it is asked for sizes. */
type Engine = { inventory: Inventory; sizes: Sizes }

type Run = Engine & {
  dryRun?: boolean
  inputs?: Partial<InputTexts>
  rules?: Partial<Policy>
  seconds?: number
  /** What became of a removal, where it did not simply happen. */
  fateOf?: (item: PlanItem, index: number) => Fate | undefined
  warnings?: string[]
  error?: string
  /** Whether the images have a disk of their own. */
  twoDisks?: boolean
}

function summarise({
  inventory,
  sizes,
  dryRun = false,
  inputs = {},
  rules = {},
  seconds = 21,
  fateOf = () => undefined,
  warnings = [],
  error,
  twoDisks = false
}: Run): string {
  const asked = policy({
    keepLast: 3,
    until: { duration: day },
    protectedImages: ['postgres'],
    protectedLabels: [{ key: 'keep', value: undefined }],
    ...rules
  })
  const plan = measurePlan(makePlan(inventory, asked), inventory, sizes)
  const results = plannedItems(plan).map((item, index): Result => ({
    item,
    ...(fateOf(item, index) ?? happened(item))
  }))
  const made = makeReport({
    ...{ engine: inventory.engine, inventory, plan, sizes },
    removal: dryRun
      ? undefined
      : { results, fatal: undefined, cacheAfter: inventory.buildCache.records },
    disks: [],
    startedAt: new Date(now),
    finishedAt: new Date(now + seconds * 1_000)
  })
  const report = { ...made, disks: makeDisks(made, twoDisks) }
  return renderSummary({
    report,
    inputs: {
      ...defaults,
      'protected-images': 'postgres',
      'include-volumes': 'all',
      ...inputs
    },
    held: heldBytes(inventory, report.resources),
    warnings,
    notes: [],
    podman: undefined,
    error
  })
}

type Disks = Report['disks']

/** Disks that were almost full before the run. */
function makeDisks({ totals }: Report, twoDisks: boolean): Disks {
  const freed = totals.reclaimedBytes
  const total = Math.max(60 * gigabyte, freed * 2)
  const spaceWith = (more: number) => ({
    freeBytes: total * 0.09 + more,
    usedBytes: total * 0.91 - more,
    freeInodes: 1_180_211 + Math.round(more / 20_000),
    totalInodes: 3_932_160
  })
  const disk = { before: spaceWith(0), after: spaceWith(freed) }
  const path = '/var/lib/docker'
  if (!twoDisks) return [{ ...disk, path, holds: [...diskContents] }]
  return [
    { ...disk, path, holds: ['volumes', 'logs'] },
    {
      ...disk,
      path: '/var/lib/containerd',
      holds: ['images', 'containers', 'build-cache']
    }
  ]
}

function happened({ decision, kind, bytes = 0 }: PlanItem): Fate {
  if (decision.action === 'untag')
    return {
      outcome: 'untagged',
      removedReferences: decision.removedReferences
    }
  return {
    outcome: 'removed',
    ...(kind === 'build-cache' && { freed: bytes })
  }
}

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

type Built = { image: Image; layers: number[] }

/** Builds of one application, the newest first, on a base that they share. */
function builds(
  repository: string,
  {
    number,
    each,
    shared,
    registry = false
  }: { number: number; each: number; shared: number; registry?: boolean }
): Built[] {
  return Array.from({ length: number }, (_, index) => {
    const tag = `build-${1_200 - index}`
    const own = each * (1 + ((index * 7) % 5) / 10)
    const at = now - index * 9 * hour
    const digests = registry
      ? [`${repository}@${digestOf(repository + tag)}`]
      : []
    const made = image(digestOf(`${repository} ${index}`), {
      references: [`${repository}:${tag}`, ...digests],
      digests,
      createdAt: at,
      taggedAt: at,
      bytes: shared + own,
      layers: [`${repository} base`, `${repository} ${index}`],
      pulled: registry
    })
    return { image: made, layers: [shared, own] }
  })
}

/** What a runner that builds all day has after a week. */
function busyRunner(): Engine {
  const dangling = Array.from({ length: 9 }, (_, index) =>
    image(digestOf(`dangling ${index}`), {
      createdAt: now - (index + 2) * day,
      bytes: (60 + index * 12) * megabyte,
      layers: [`dangling ${index}`]
    })
  )
  const stopped = Array.from({ length: 12 }, (_, index) =>
    container(`c${index}`, {
      name: `ci-${4_000 + index}-tests`,
      image: dangling[index % 4]?.id ?? '',
      finishedAt: now - (index + 26) * hour,
      createdAt: now - (index + 27) * hour
    })
  )
  const postgres = image(digestOf('postgres'), {
    references: ['postgres:17'],
    createdAt: now - 40 * day,
    taggedAt: now - 12 * day,
    bytes: 438 * megabyte,
    layers: ['debian', 'postgres']
  })
  const cache = image(digestOf('cache'), {
    references: ['ghcr.io/acme/cache-server:2'],
    taggedAt: now - 33 * day,
    bytes: 212 * megabyte,
    layers: ['alpine', 'cache server']
  })
  const built = [
    ...builds('ghcr.io/acme/web', {
      number: 14,
      each: 260 * megabyte,
      shared: 610 * megabyte,
      registry: true
    }),
    ...builds('ghcr.io/acme/api', {
      number: 11,
      each: 170 * megabyte,
      shared: 420 * megabyte,
      registry: true
    }),
    ...builds('acme/worker', {
      number: 8,
      each: 90 * megabyte,
      shared: 300 * megabyte
    }),
    ...builds('acme/training', {
      number: 5,
      each: 1_300 * megabyte,
      shared: 4_100 * megabyte
    })
  ]
  const held = inventory({
    images: [...built.map(({ image }) => image), postgres, cache, ...dangling],
    containers: [
      ...stopped,
      container('running', {
        name: 'cache-server',
        state: 'running',
        image: cache.id,
        imageReference: 'ghcr.io/acme/cache-server:2'
      })
    ],
    networks: [
      ...['ci-4000_default', 'ci-4003_default', 'preview'].map((name) =>
        network(name, { name, createdAt: now - 3 * day })
      ),
      network('bridge', { name: 'bridge' })
    ],
    volumes: [
      ...[1, 2, 3].map((index) =>
        volume(digestOf(`volume ${index}`).slice(7), {
          createdAt: now - index * 2 * day,
          labels: { 'com.docker.volume.anonymous': '' }
        })
      ),
      volume('database', { labels: { keep: '' } })
    ],
    buildCache: {
      records: Array.from({ length: 60 }, (_, index) =>
        cacheRecord({
          bytes: 31 * megabyte,
          idle: { least: index * hour, most: index * hour },
          shared: index % 4 === 0
        })
      )
    }
  })
  return { inventory: held, sizes: { ...busySizes, layers: layersOf(built) } }
}

function layersOf(built: readonly Built[]): Map<string, number[]> {
  return new Map(built.map(({ image, layers }) => [image.id, layers]))
}

const busySizes = {
  containers: new Map(
    Array.from({ length: 12 }, (_, index) => [
      `c${index}`,
      (index + 1) * 3 * megabyte
    ])
  ),
  volumes: new Map([
    ...[1, 2, 3].map(
      (index) =>
        [digestOf(`volume ${index}`).slice(7), index * 140 * megabyte] as const
    ),
    ['database', 870 * megabyte] as const
  ]),
  builders: new Map<string, number>(),
  logs: { bytes: new Map<string, number>(), unread: false }
}

/** An engine with as many resources as that, most of them images. */
function crowded(number: number): Engine {
  const { inventory, sizes } = busyRunner()
  const perRepository = 25
  const repositories = Math.ceil(number / perRepository)
  const built = Array.from({ length: repositories }, (_, index) =>
    builds(`registry.example.com:5000/team-${index % 40}/service-${index}`, {
      number: perRepository,
      each: (index % 40 === 7 ? 900 : 20 + index / 10) * megabyte,
      shared: 200 * megabyte,
      registry: true
    })
  ).flat()
  return {
    inventory: { ...inventory, images: built.map(({ image }) => image) },
    sizes: { ...sizes, layers: layersOf(built) }
  }
}

function failing(item: PlanItem, index: number): Fate | undefined {
  if (item.kind === 'volume')
    return {
      outcome: 'failed',
      detail: `Error response from daemon: remove ${item.id}: unable to remove volume: device or resource busy`
    }
  if (item.name.startsWith('acme/worker'))
    return {
      outcome: 'failed',
      detail:
        'Error response from daemon: open /var/lib/docker/image/overlay2/layerdb/tmp/delete-104: no space left on device'
    }
  if (item.name.startsWith('ghcr.io/acme/api'))
    return {
      outcome: 'kept',
      reason: 'changed',
      detail: 'container api-preview uses it now'
    }
  if (index > 40)
    return {
      outcome: 'kept',
      reason: 'budget',
      detail: 'the time was up before it was its turn'
    }
  return undefined
}

function hostile(): Engine {
  const volumes = new Map(hostileTexts.map((text) => [text, 90 * megabyte]))
  return {
    inventory: inventory({
      images: hostileTexts.map((text, index) =>
        image(digestOf(text), {
          references: [`${text}:1`],
          digests: [`${text}@sha256:0`],
          bytes: (100 + index) * megabyte,
          layers: [text],
          labels: index % 3 > 0 ? {} : { keep: text }
        })
      ),
      containers: hostileTexts.map((text) => container(text, { name: text })),
      networks: hostileTexts.map((text) => network(text, { name: text })),
      volumes: hostileTexts.map((text) => volume(text))
    }),
    sizes: { ...busySizes, volumes, layers: new Map() }
  }
}

/** What is left on it when all that may go has gone. */
function quietRunner(): Engine {
  const { inventory, sizes } = busyRunner()
  return {
    inventory: {
      ...inventory,
      images: inventory.images.filter(
        ({ createdAt = 0, references }) =>
          references.length > 0 && createdAt > now - day
      ),
      containers: [],
      networks: inventory.networks.filter(({ name }) => name === 'bridge'),
      volumes: inventory.volumes.filter(({ name }) => name === 'database'),
      buildCache: { records: [] }
    },
    sizes
  }
}

const engineDown = [
  'No Docker engine answers.',
  'Start it, or see where DOCKER_HOST or DOCKER_CONTEXT point. Docker says:',
  'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?'
].join('\n')

/** The summaries that are looked at, in Markdown, by the names of their pages. */
export function makeSummaries(): Record<string, string> {
  const busy = busyRunner()
  return {
    'big-run': summarise(busy),
    'dry-run': summarise({
      ...busy,
      ...{ dryRun: true, twoDisks: true, seconds: 3.4 }
    }),
    'nothing-to-do': summarise({ ...quietRunner(), seconds: 0.8 }),
    failures: summarise({
      ...busy,
      fateOf: failing,
      seconds: 15 * 60,
      warnings: [
        'protected-images: nothing on this engine matches postgress. Is it a typo that protects nothing?',
        'The time was up (timeout: 15m): 3 planned removals not done.'
      ],
      error:
        '8 planned removals failed. The first: image acme/worker:build-1195: Error response from daemon: no space left on device'
    }),
    '5000-resources': summarise({ ...crowded(5_000), seconds: 94 }),
    'no-engine': renderFailure(engineDown),
    hostile: summarise({
      ...hostile(),
      rules: { keepLast: 0, until: { duration: 0 } },
      fateOf: ({ kind }, index) =>
        kind === 'container' && index % 2 === 0
          ? { outcome: 'failed', detail: hostileTexts[index] ?? '' }
          : undefined,
      warnings: hostileTexts,
      error: hostileTexts.join('\n'),
      inputs: { 'protected-labels': hostileTexts.join('\n') },
      seconds: (2 * minute) / 1_000
    })
  }
}
