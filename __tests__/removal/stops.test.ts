import { expect, test } from '@jest/globals'
import type { Docker } from '../../src/docker/cli.ts'
import type { Container } from '../../src/model/inventory.ts'
import type { Policy } from '../../src/model/policy.ts'
import { parseRules } from '../../src/inputs/rules.ts'
import { diskContents } from '../../src/model/disks.ts'
import { makePlan } from '../../src/policy/plan.ts'
import { removeAll } from '../../src/removal/removal.ts'
import { noStream } from '../../src/removal/stream.ts'
import { container, day, inventory, now, policy } from '../builders.ts'

const never = Date.parse('0001-01-01T00:00:00Z')

/** Two containers of a compose project, of which one depends on the other. */
const project = (
  [
    ['a', 'web', 'db:service_started:true'],
    ['b', 'db', '']
  ] as const
).map(([id, name, dependsOn]) =>
  container(id.repeat(64), {
    ...{ name, state: 'running', startedAt: now - day, finishedAt: never },
    labels: {
      'com.docker.compose.project': 'p',
      'com.docker.compose.service': name,
      'com.docker.compose.depends_on': dependsOn
    }
  })
)

/** As `container inspect` prints it. */
const printed = (one: Container) => ({
  ...{ Id: one.id, Name: `/${one.name}`, ExecIDs: null },
  Created: new Date(one.createdAt ?? 0).toISOString(),
  State: {
    Status: one.state,
    StartedAt: new Date(one.startedAt ?? 0).toISOString(),
    FinishedAt: new Date(one.finishedAt ?? 0).toISOString()
  },
  Config: { Labels: one.labels }
})

/** Removes what the rule lets go, on an engine of which each removal frees 30 bytes; `onStop` may throw. */
async function removeUnder(
  rule: string,
  target: Policy['untilFreeAbove'],
  onStop = () => undefined
) {
  const left = new Map(project.map((one) => [one.id, one]))
  const docker: Docker = (args) => {
    const ids = args.slice(args.indexOf('--') + 1)
    const call = args.slice(0, 2).join(' ')
    if (call === 'container stop') {
      onStop()
      for (const id of ids) {
        const one = left.get(id)
        if (one) left.set(id, { ...one, state: 'exited', finishedAt: now })
      }
    }
    if (call === 'container rm') for (const id of ids) left.delete(id)
    const stdout =
      call === 'container ls'
        ? [...left.keys()].map((id) => JSON.stringify(id)).join('\n')
        : call === 'container inspect'
          ? JSON.stringify(ids.flatMap((id) => left.get(id) ?? []).map(printed))
          : ids.join('\n')
    return Promise.resolve({ exitCode: 0, stdout, stderr: '' })
  }
  const held = inventory({
    containers: project,
    engine: { ...inventory().engine, logsBuilds: false }
  })
  const plan = makePlan(
    held,
    policy({ rules: parseRules(rule, now).rules, untilFreeAbove: target })
  )
  const space = () => {
    const freeBytes = 20 + 30 * (project.length - left.size)
    return { freeBytes, usedBytes: 100 - freeBytes }
  }
  const removal = await removeAll(plan, {
    ...{ docker, inventory: held, stream: noStream, concurrency: 1 },
    ...{ deadline: Date.now() + 60_000, listedAt: Date.now() },
    signal: new AbortController().signal,
    onResult: () => undefined,
    onFallback: () => undefined,
    target: target && {
      disks: [{ path: '/', holds: [...diskContents], before: space() }],
      wanted: target,
      readSpace: () => Promise.resolve(space()),
      sleep: () => Promise.resolve()
    },
    cache: {
      ...{ builder: 'default', lookedAt: 0, until: 0, keep: 0 },
      configFolder: ''
    },
    listCache: () => Promise.resolve([])
  })
  const outcomes = removal.results.map(
    ({ item, outcome, stopped, detail = '' }) => ({
      ...{ name: item.name, outcome, stopped, detail }
    })
  )
  return { outcomes, left: [...left.values()], removal }
}

test('a project that a rule removes goes as a whole, even if a part of it frees enough', async () => {
  const { left } = await removeUnder('container * stop-after=6h until=0s', {
    bytes: 50
  })
  expect(left).toEqual([])
})

test('containers whose stop broke off do not count as stopped', async () => {
  const { outcomes, left, removal } = await removeUnder(
    'container * stop-after=6h',
    undefined,
    () => {
      throw new Error('the engine died')
    }
  )
  expect(removal.fatal?.message).toContain('the engine died')
  expect(left.map(({ state }) => state)).toEqual(['running', 'running'])
  for (const one of outcomes) {
    expect(one).toMatchObject({ outcome: 'kept', stopped: undefined })
    expect(one.detail).toMatch(/^was asked to stop; not removed/)
  }
})
