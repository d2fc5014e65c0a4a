import type { Inventory } from './inventory.ts'
import { containerIds } from './needs.ts'

/**
 * Puts what needs something before what it needs: containers before those that they join, images before their
 * parents. Each level can go at once.
 */
export function inLevels<T extends { id: string }>(
  items: readonly T[],
  { containers, images }: Pick<Inventory, 'containers' | 'images'>
): T[][] {
  const ids = containerIds(containers)
  const needs = new Map([
    ...containers.map(
      ({ id, joins }) =>
        [id, joins.map((name) => ids.get(name) ?? name)] as const
    ),
    ...images.map(({ id, parent }) => [id, parent ? [parent] : []] as const)
  ])
  const levels: T[][] = []
  for (let left = [...items]; left.length > 0;) {
    const needed = new Set(left.flatMap(({ id }) => needs.get(id) ?? []))
    const free = left.filter(({ id }) => !needed.has(id))
    // A circle cannot be; if there is one, the engine decides.
    const level = free.length > 0 ? free : left
    levels.push(level)
    left = free.length > 0 ? left.filter(({ id }) => needed.has(id)) : []
  }
  return levels
}
