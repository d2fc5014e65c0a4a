import { withPacked } from '../accounting/cache.ts'
import type { Docker } from '../docker/cli.ts'
import { inspectAgain } from '../docker/images.ts'
import { logsNote } from '../host/logs.ts'
import type { Disk } from '../model/disks.ts'
import type { Inventory } from '../model/inventory.ts'
import { type Plan, plannedItems, type Sizes } from '../model/plan.ts'
import type { Policy } from '../model/policy.ts'
import { limitsOf } from '../policy/limits.ts'
import { measurePlan } from '../policy/measure.ts'
import { makePlan } from '../policy/plan.ts'
import { keepOnFreeDisks, orderUnderPressure } from '../policy/pressure.ts'
import { endLine, planLines } from '../report/log.ts'
import { ruleLines } from '../report/rules.ts'
import { measure } from './measure.ts'
import type { Looked, Step } from './world.ts'

/** A plan with its figures, and the inventory that it was made on. */
export type Planned = { plan: Plan; sizes: Sizes; inventory: Inventory }

export async function planAndMeasure(
  { docker, texts, world }: Step,
  policy: Policy,
  { inventory: listed, facts, context, disks, closed }: Looked
): Promise<Planned> {
  const whole = await planOnFreshFacts(docker, listed, policy)
  const fresh = closed ? whole : fitToDisks(whole, policy, disks)
  const { sizes, packed } = await measure(docker, fresh.inventory, fresh.plan, {
    facts,
    endpoint: context.endpoint
  })
  const images = withPacked(fresh.inventory.images, packed)
  const inventory = { ...fresh.inventory, images }
  const plan = measurePlan(fresh.plan, inventory, sizes)
  for (const line of [
    ...planLines(plan),
    ...ruleLines(policy.rules, plan.items)
  ])
    world.log.info(line)
  if (policy.untilFreeAbove && !closed) world.log.info(endLine(texts))
  if (sizes.logs.unread) world.log.info(logsNote)
  return { plan, sizes, inventory }
}

/** Keeps what frees no low disk, and orders the rest for a removal that ends once enough is free. */
function fitToDisks(
  { plan, inventory }: Omit<Planned, 'sizes'>,
  { whenFreeBelow, untilFreeAbove }: Policy,
  disks: readonly Disk[]
): Omit<Planned, 'sizes'> {
  const wanted = untilFreeAbove ?? whenFreeBelow
  if (wanted === undefined) return { plan, inventory }
  const fitted = keepOnFreeDisks(plan, inventory, disks, wanted)
  return {
    plan:
      untilFreeAbove === undefined
        ? fitted
        : orderUnderPressure(fitted, inventory),
    inventory
  }
}

/**
 * Plans, and inspects the images that would go by what an earlier run remembers: they may have been tagged since. Kept
 * images can only be younger than remembered, so keeping them is safe.
 */
async function planOnFreshFacts(
  docker: Docker,
  listed: Inventory,
  policy: Policy
): Promise<Omit<Planned, 'sizes'>> {
  let inventory = listed
  for (;;) {
    const plan = makePlan(inventory, policy)
    const going = new Set(plannedItems(plan).map(({ id }) => id))
    const { engine, images } = inventory
    const unsure = images.filter(
      ({ id, remembered }) => remembered && going.has(id)
    )
    if (unsure.length === 0 || asksNoAge(policy, engine.now))
      return { plan, inventory }
    inventory = await inspectAgain(docker, inventory, unsure)
  }
}

/** Whether the last use of images makes no difference. */
function asksNoAge(policy: Policy, now: number): boolean {
  return (
    limitsOf(policy, now).until === 0 &&
    policy.rules.every(({ until }) => until === undefined)
  )
}
