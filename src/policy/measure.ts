import { ownOfShared } from '../accounting/cache.ts'
import { freedByImages } from '../accounting/freed.ts'
import type { Inventory } from '../model/inventory.ts'
import type { Kind } from '../model/kinds.ts'
import type { Plan, PlanItem, Sizes } from '../model/plan.ts'

/** Adds to the plan the bytes that each removal frees. */
export function measurePlan(
  plan: Plan,
  inventory: Inventory,
  sizes: Sizes
): Plan {
  const removed = new Set(
    plan.items
      .filter(({ decision }) => decision.action === 'remove')
      .map(({ id }) => id)
  )
  // In the order of removal: a layer is freed with the last image that has it.
  const ids = plan.removalOrder
    .filter(({ kind }) => kind === 'image')
    .flatMap((step) => step.ids)
    .filter((id) => removed.has(id))
  const { records } = inventory.buildCache
  const sharing = records?.filter(({ shared }) => shared)
  const { figures } = freedByImages(inventory, ids, sizes.layers, sharing)
  const going = inventory.images.filter(({ id }) => figures.has(id))
  const measure: Record<Kind, (item: PlanItem) => Partial<PlanItem>> = {
    container: ({ id }) => ({ bytes: sizes.containers.get(id) }),
    builder: ({ id }) => ({ bytes: sizes.builders.get(id) }),
    network: () => ({ bytes: 0 }),
    image: ({ id }) => figures.get(id) ?? { bytes: 0 },
    volume: ({ id }) => ({ bytes: sizes.volumes.get(id) }),
    'build-cache': ({ bytesAtMost = 0 }) => ({
      bytesAtMost: bytesAtMost + ownOfShared(going, records ?? [])
    })
  }
  return {
    ...plan,
    items: plan.items.map((item) =>
      item.decision.action === 'remove'
        ? { ...item, ...measure[item.kind](item) }
        : item
    )
  }
}
