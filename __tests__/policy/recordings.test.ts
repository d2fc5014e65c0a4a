import { expect, test } from '@jest/globals'
import { readEngine } from '../../src/docker/engine.ts'
import { readInventory } from '../../src/docker/inventory.ts'
import { withPacked } from '../../src/accounting/cache.ts'
import { measurePlan } from '../../src/policy/measure.ts'
import { makePlan } from '../../src/policy/plan.ts'
import type { Policy } from '../../src/model/policy.ts'
import { measure } from '../../src/run/measure.ts'
import { day, policy } from '../builders.ts'
import { recordings, replay } from '../docker/replay.ts'

// Plans and sizes on engines that the rules tests do not run on.

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
  const engine = await readEngine(docker, {})
  const listed = await readInventory(docker, engine, 'default')
  const plan = makePlan(listed, policy(wanted))
  const { sizes, packed } = await measure(docker, listed, plan, {
    facts: new Map(),
    endpoint: ''
  })
  const images = withPacked(listed.images, packed)
  const { items } = measurePlan(plan, { ...listed, images }, sizes)
  const lines = items.map(({ kind, name, decision, bytes, bytesAtMost }) => {
    const { action, reason } = decision
    const range = [bytes ?? 'unknown', bytesAtMost ?? bytes ?? 'unknown']
    return [kind, name, action, reason, ...new Set(range)].join(' ')
  })
  expect(lines.sort()).toMatchSnapshot()
})
