import { hostileTexts } from '../../__tests__/hostile.ts'
import { connectionError } from '../../src/docker/errors.ts'
import { readInputs } from '../../src/inputs/read.ts'
import type { Outcome } from '../../src/model/outcome.ts'
import type { PlanItem } from '../../src/model/plan.ts'
import { readRefusal } from '../../src/removal/refusal.ts'
import { renderFailure, renderSummary } from '../../src/report/summary.ts'
import { container, hour, now } from '../../__tests__/builders.ts'
import {
  busyRunner,
  crowdedRunner,
  type Engine,
  hostileEngine,
  quietRunner
} from './inventories.ts'
import { makeRun, type Run } from './runs.ts'

const gigabyte = 1_000_000_000
const inputs = {
  'protected-images': 'postgres',
  'include-volumes': 'anonymous'
}
const disk = { bytes: 60 * gigabyte }

/** Renders summaries of made-up runs as Markdown, by page name. */
export async function makeSummaries(): Promise<Record<string, string>> {
  const busy = { ...busyRunner(), inputs, disk }
  const { sizes } = busy
  return {
    'big-run': await summarise(busy),
    'dry-run': await summarise({
      ...busy,
      inputs: { ...inputs, 'dry-run': 'true' },
      sizes: { ...sizes, logs: { ...sizes.logs, unread: true } },
      disk: { ...disk, split: true },
      seconds: 3.4
    }),
    rules: await summarise({
      ...{ ...withHangingContainer(busy), disk, seconds: 3.4 },
      inputs: { ...inputs, 'include-volumes': 'all', 'dry-run': 'true', rules }
    }),
    'nothing-to-do': await summarise({
      ...{ ...quietRunner(), disk },
      seconds: 0.8
    }),
    failures: await summarise({
      ...busy,
      inputs: { ...inputs, 'protected-images': 'postgres, postgress' },
      ...{ outcomeOf: failure, seconds: 15 * 60 }
    }),
    '5000-resources': await summarise({
      ...{ ...crowdedRunner(5_000), inputs },
      ...{ disk: { bytes: 900 * gigabyte }, seconds: 94 }
    }),
    'no-engine': renderFailure(noEngine()),
    'bad-input': renderFailure(badInput()),
    hostile: await summariseHostile()
  }
}

const rules = `
  ghcr.io/acme/cache-server  keep
  ghcr.io/acme/**:build-*    until=7d keep-last=10
  ghcr.io/acme/web           keep
  acme/*                     until=2w keep-last=2
  <none>                     until=1h
  container ci-*             stop-after=6h until=0s
  volume databse             keep
  label org.testcontainers=true stop-after=6h`

function withHangingContainer({ inventory, sizes }: Engine): Engine {
  const hanging = container('hanging', {
    ...{ name: 'ci-4099-tests', state: 'running', execs: [] },
    ...{ createdAt: now - 31 * hour, startedAt: now - 31 * hour }
  })
  return {
    sizes,
    inventory: {
      ...{ ...inventory, oldestJob: now },
      containers: [...inventory.containers, hanging]
    }
  }
}

async function summarise(run: Run): Promise<string> {
  return renderSummary((await makeRun(run)).facts)
}

/** Some removals fail, an image is in use by now, and the time is up before the last ones. */
function failure(
  { kind, name, id }: PlanItem,
  index: number
): Outcome | 'not reached' | undefined {
  const refuse = (words: string) =>
    readRefusal(
      {
        ...{ exitCode: 1, stdout: '' },
        stderr: `Error response from daemon: ${words}`
      },
      `${kind} rm`
    )
  if (kind === 'volume')
    return refuse(
      `remove ${id}: unable to remove volume: device or resource busy`
    )
  if (name.startsWith('acme/worker'))
    return refuse(
      'open /var/lib/docker/image/overlay2/layerdb/tmp/delete-104: no space left on device'
    )
  if (name.startsWith('ghcr.io/acme/api'))
    return refuse(
      `conflict: unable to delete ${id.slice(7, 19)} (cannot be forced) - image is being used by running container 5f2c8e1b7a90`
    )
  return index > 40 ? 'not reached' : undefined
}

function noEngine(): string {
  const words =
    'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?'
  return connectionError(words, {})?.message ?? words
}

function badInput(): string {
  const inputs = new Map([
    ['keep-last', 'three'],
    ['until', '10 days'],
    ['include-volumes', 'named']
  ])
  try {
    readInputs((name) => inputs.get(name), { now, env: {} })
  } catch (error) {
    if (error instanceof Error) return error.message
  }
  throw new Error('the inputs are valid')
}

async function summariseHostile(): Promise<string> {
  const { facts } = await makeRun({
    ...hostileEngine(),
    inputs: { 'keep-last': '0', until: '0s', 'include-volumes': 'all' },
    outcomeOf: ({ kind }, index) =>
      kind === 'container' && index % 2 === 0
        ? { outcome: 'failed', detail: hostileTexts[index] ?? '' }
        : undefined,
    seconds: 120
  })
  const lines = hostileTexts.join('\n')
  return renderSummary({
    ...facts,
    inputs: { ...facts.inputs, 'protected-labels': lines },
    warnings: hostileTexts,
    notes: hostileTexts,
    error: lines
  })
}
