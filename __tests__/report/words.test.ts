import { expect, test } from '@jest/globals'
import { makeRun, type Run } from '../../scripts/demo/runs.ts'
import { infoSchema } from '../../src/docker/schemas.ts'
import { readInputs } from '../../src/inputs/read.ts'
import { diskContents } from '../../src/model/disks.ts'
import type { PlanItem } from '../../src/model/plan.ts'
import { readRefusal } from '../../src/removal/refusal.ts'
import { renderFailure, renderSummary } from '../../src/report/summary.ts'
import { concludeClosed } from '../../src/run/conclude.ts'
import {
  cacheRecord,
  container,
  day,
  hour,
  image,
  inventory,
  network,
  now,
  volume
} from '../builders.ts'

// Whole logs and summaries: a change of words shows in review as a change of words. `jest -u` accepts it.

expect.addSnapshotSerializer({
  test: (value) => typeof value === 'string',
  serialize: (value: string) => value.replaceAll('\u00a0', ' ')
})

const megabyte = 1_000_000
const built = (id: string, references: string[], days: number, size: number) =>
  image(id, {
    references,
    createdAt: now - days * day,
    taggedAt: now - days * day,
    bytes: size * megabyte,
    layers: [id]
  })
const digest = 'ghcr.io/acme/tool@sha256:0123456789ab'
const scratch = 'a'.repeat(64)

/** A few resources, one or two for each fate. */
const runner: Run = {
  inventory: inventory({
    images: [
      built('sha256:01', ['web:1'], 9, 310),
      built('sha256:02', ['web:2', 'release:2'], 5, 320),
      built('sha256:03', ['web:3'], 2, 330),
      built('sha256:04', [], 4, 90),
      built('sha256:05', ['postgres:17'], 40, 430),
      built('sha256:06', ['redis:8'], 60, 120),
      {
        ...built('sha256:07', ['ghcr.io/acme/tool:1', digest], 7, 75),
        digests: [digest]
      }
    ],
    containers: [
      container('c1', {
        name: 'tests',
        createdAt: now - 30 * hour,
        finishedAt: now - 29 * hour
      }),
      container('c2', {
        name: 'cache',
        image: 'sha256:06',
        imageReference: 'redis:8',
        state: 'running'
      })
    ],
    networks: [
      network('n1', { name: 'tests_default', createdAt: now - 2 * day }),
      network('n2', { name: 'bridge' })
    ],
    volumes: [
      volume(scratch, { createdAt: now - 2 * day }),
      volume('database', { createdAt: now - 20 * day })
    ],
    buildCache: {
      records: [
        cacheRecord({
          bytes: 500 * megabyte,
          idle: { least: 3 * day, most: 3 * day }
        }),
        cacheRecord({
          id: 'young',
          bytes: 80 * megabyte,
          idle: { least: hour, most: hour }
        })
      ]
    }
  }),
  sizes: {
    containers: new Map([['c1', 24 * megabyte]]),
    logs: { bytes: new Map(), unread: false },
    volumes: new Map([
      [scratch, 210 * megabyte],
      ['database', 640 * megabyte]
    ]),
    builders: new Map(),
    layers: new Map()
  },
  inputs: {
    'keep-last': '1',
    'protected-images': 'postgres, postgress',
    'include-volumes': 'anonymous'
  },
  disk: { bytes: 20_000 * megabyte },
  seconds: 7
}

async function expectWords(run: Run): Promise<void> {
  const { log, facts } = await makeRun(run)
  expect(log.join('\n')).toMatchSnapshot('log')
  expect(renderSummary(facts)).toMatchSnapshot('summary')
}

function refuse({ kind }: PlanItem, words: string) {
  const stderr = `Error response from daemon: ${words}`
  return readRefusal({ exitCode: 1, stdout: '', stderr }, `${kind} rm`)
}

/** An engine with a container that hangs, and rules for all of it. */
const ruled: Run = {
  ...runner,
  inventory: {
    ...runner.inventory,
    oldestJob: now,
    containers: [
      ...runner.inventory.containers,
      container('c3', {
        name: 'ci-41',
        image: 'sha256:03',
        imageReference: 'web:3',
        state: 'running',
        createdAt: now - 31 * hour,
        startedAt: now - 31 * hour,
        restartPolicy: 'no',
        execs: []
      })
    ]
  },
  inputs: {
    'include-volumes': 'all',
    rules: [
      'ghcr.io/acme/**  keep',
      'web:*            until=3d keep-last=1',
      '<none>           until=1h',
      'container ci-*   stop-after=1d',
      'volume databse   keep',
      'web:1            keep',
      'label stage=dev  until=0s'
    ].join('\n')
  }
}

test('a small engine’s day', () => expectWords(runner))

test('a dry run', () =>
  expectWords({
    ...runner,
    inputs: { ...runner.inputs, 'dry-run': 'true' },
    sizes: { ...runner.sizes, logs: { bytes: new Map(), unread: true } },
    disk: { bytes: 20_000 * megabyte, split: true },
    seconds: 1.4
  }))

test('nothing to do', () =>
  expectWords({ ...runner, inputs: { until: '90d' }, seconds: 0.8 }))

test('a failure, a change and a timeout', () =>
  expectWords({
    ...runner,
    outcomeOf: (item) => {
      switch (item.id) {
        case 'sha256:01':
          return refuse(
            item,
            'open /var/lib/docker/image/overlay2/layerdb/tmp/delete-1: no space left on device'
          )
        case 'sha256:04':
          return refuse(
            item,
            'conflict: unable to delete 04 (must be forced) - image is being used by stopped container 5f2c8e1b7a90'
          )
        case 'n1':
          return { outcome: 'gone' }
        case 'build-cache':
          return 'not reached'
        default:
          return undefined
      }
    },
    seconds: 900
  }))

test('a cancel', () =>
  expectWords({
    ...runner,
    cancelled: true,
    outcomeOf: (_, index) => (index < 2 ? undefined : 'not reached'),
    seconds: 4
  }))

test('rules', () => expectWords(ruled))

test('a dry run with rules', () =>
  expectWords({
    ...ruled,
    inputs: { ...ruled.inputs, 'dry-run': 'true' },
    seconds: 1.4
  }))

test('a plan beyond max-removals', () =>
  expectWords({ ...ruled, inputs: { ...ruled.inputs, 'max-removals': '1' } }))

const pressure = { 'when-free-below': '10%', 'until-free-above': '12%' }

test('a removal that stops once enough is free', () =>
  expectWords({
    ...runner,
    inputs: { ...runner.inputs, ...pressure },
    outcomeOf: (item) =>
      ['image', 'volume'].includes(item.kind) && item.id !== 'sha256:04'
        ? {
            ...{ outcome: 'kept', reason: 'target-reached' },
            detail: `enough space is free; ${item.decision.detail}`,
            heldBy: 'until-free-above'
          }
        : undefined
  }))

test('a target that is not reached', () =>
  expectWords({
    ...runner,
    inputs: { ...runner.inputs, ...pressure, 'until-free-above': '30%' }
  }))

test('a closed gate', async () => {
  const inputs: Record<string, string> = {
    ...{ 'host-name': 'runner-1', 'when-free-below': '5%' },
    'until-free-above': '10%'
  }
  const getInput = (name: string) => inputs[name]
  const signal = new AbortController().signal
  const { answer, summary } = await concludeClosed(
    {
      ...readInputs(getInput, { now, env: {} }),
      docker: () => Promise.reject(new Error('there is no engine')),
      ...{ running: new Set(), startedAt: new Date(), deadline: now },
      world: {
        ...{ version: '1.0.0', getInput, env: {}, signal },
        log: {
          info: () => undefined,
          warning: () => undefined,
          group: (_, body) => body()
        },
        show: () => undefined,
        ...{ saveState: undefined, snapshotFile: undefined }
      },
      leave: signal
    },
    {
      info: infoSchema.parse({
        Name: 'runner',
        ServerVersion: '28.5.2',
        Driver: 'overlay2'
      }),
      context: { name: 'default', endpoint: '' },
      disks: [
        {
          ...{ path: '/none/docker', holds: [...diskContents] },
          before: { freeBytes: 9e9, usedBytes: 91e9 }
        }
      ],
      closed: true
    }
  )
  expect(answer).toMatchSnapshot('log')
  expect(summary).toMatchSnapshot('summary')
})

test('bad input', () => {
  const inputs = new Map([
    ['keep-last', 'three'],
    ['until', '10 days'],
    ['include-volumes', 'named'],
    ['protected-images', 'node:*, redis:latest:latest']
  ])
  let message = ''
  try {
    readInputs((name) => inputs.get(name), { now, env: {} })
  } catch (error) {
    message = error instanceof Error ? error.message : ''
  }
  expect(`Error: ${message}`).toMatchSnapshot('log')
  expect(renderFailure(message)).toMatchSnapshot('summary')
})
