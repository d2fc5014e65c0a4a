import { expect, test } from '@jest/globals'
import { lookAtAll, lookAtEngine } from '../../src/docker/inventory.ts'
import { makePlan } from '../../src/policy/plan.ts'
import type { Policy } from '../../src/policy/policy.ts'
import { day, policy } from '../builders.ts'
import { recordings, replay } from '../docker/replay.ts'

// What is decided on the engines that the tests of the rules do not run on.

const policies: Record<string, Partial<Policy>> = {
  'by default': {
    keepLast: 3,
    until: { duration: day },
    protectedLabels: [{ key: 'keep', value: undefined }],
    includeVolumes: 'none',
    includeBuilders: 'none'
  },
  'whatever its age': { until: { duration: 0 } }
}

test.each(
  [...recordings].flatMap(([name, recording]) =>
    Object.entries(policies).map(([which, wanted]) => ({
      ...{ name, recording, which, wanted }
    }))
  )
)('$name, $which: the plan', async ({ recording, wanted }) => {
  const docker = replay(recording)
  const engine = await lookAtEngine(docker, {})
  const inventory = await lookAtAll(docker, engine, 'default')
  const { items } = makePlan(inventory, policy(wanted))
  const lines = items.map(({ kind, name, decision }) =>
    [kind, name, decision.action, decision.reason].join(' ')
  )
  expect(lines.sort()).toMatchSnapshot()
})
