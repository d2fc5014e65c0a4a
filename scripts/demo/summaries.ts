import { day, minute, now, policy } from '../../__tests__/builders.ts'
import { hostileTexts } from '../../__tests__/hostile.ts'
import { diskContents } from '../../src/model/disks.ts'
import type { Outcome, Result } from '../../src/model/outcome.ts'
import { defaults, type InputTexts } from '../../src/model/inputs.ts'
import { makePlan } from '../../src/policy/plan.ts'
import { measurePlan } from '../../src/policy/measure.ts'
import { plannedItems, type PlanItem } from '../../src/model/plan.ts'
import type { Policy } from '../../src/model/policy.ts'
import { heldBytes } from '../../src/report/ownBytes.ts'
import { makeReport } from '../../src/report/report.ts'
import { type Report } from '../../src/report/schema.ts'
import { renderFailure, renderSummary } from '../../src/report/summary.ts'
import {
  busyRunner,
  crowdedRunner,
  hostileEngine,
  quietRunner,
  type Engine
} from './inventories.ts'

const gigabyte = 1_000_000_000

type Run = Engine & {
  dryRun?: boolean
  inputs?: Partial<InputTexts>
  rules?: Partial<Policy>
  seconds?: number
  /** Outcomes of removals that do not succeed. */
  outcomeOf?: (item: PlanItem, index: number) => Outcome | undefined
  warnings?: string[]
  error?: string
  /** Images are on a disk of their own. */
  twoDisks?: boolean
}

function summarise({
  inventory,
  sizes,
  dryRun = false,
  inputs = {},
  rules = {},
  seconds = 21,
  outcomeOf = () => undefined,
  warnings = [],
  error,
  twoDisks = false
}: Run): string {
  const rulesOfRun = policy({
    keepLast: 3,
    until: { duration: day },
    protectedImages: ['postgres'],
    protectedLabels: [{ key: 'keep', value: undefined }],
    ...rules
  })
  const plan = measurePlan(makePlan(inventory, rulesOfRun), inventory, sizes)
  const results = plannedItems(plan).map((item, index): Result => ({
    item,
    ...(outcomeOf(item, index) ?? success(item))
  }))
  const withoutDisks = makeReport({
    host: 'runner-1',
    action: { version: '1.0.0' },
    ...{ engine: inventory.engine, inventory, plan, sizes },
    removal: dryRun
      ? undefined
      : { results, fatal: undefined, cacheAfter: inventory.buildCache.records },
    disks: [],
    startedAt: new Date(now),
    finishedAt: new Date(now + seconds * 1_000)
  })
  const report = {
    ...withoutDisks,
    disks: makeDisks(withoutDisks, twoDisks)
  }
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

/** Makes disks that were 91 % full before the run. */
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

function success({ decision, kind, bytes = 0 }: PlanItem): Outcome {
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

function failure(item: PlanItem, index: number): Outcome | undefined {
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

const engineDown = [
  'No Docker engine answers.',
  'Start it, or see where DOCKER_HOST or DOCKER_CONTEXT point. Docker says:',
  'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?'
].join('\n')

/** Renders summaries of made-up runs as Markdown, by page name. */
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
      outcomeOf: failure,
      seconds: 15 * 60,
      warnings: [
        'protected-images: nothing on this engine matches postgress. Is it a typo that protects nothing?',
        'The time was up (timeout: 15m): 3 planned removals not done.'
      ],
      error:
        '8 planned removals failed. The first: image acme/worker:build-1195: Error response from daemon: no space left on device'
    }),
    '5000-resources': summarise({ ...crowdedRunner(5_000), seconds: 94 }),
    'no-engine': renderFailure(engineDown),
    hostile: summarise({
      ...hostileEngine(),
      rules: { keepLast: 0, until: { duration: 0 } },
      outcomeOf: ({ kind }, index) =>
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
