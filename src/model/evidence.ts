import { eventReader } from './events.ts'
import type { Inventory } from './inventory.ts'

/** Evidence that a resource was in use at an instant (milliseconds since 1970). */
export type Evidence = { at: number | undefined; of: string }

/** Finds the uses of a resource in the engine's event log, by its ID or name. */
export function usesInLog(
  inventory: Inventory
): (id: string) => readonly Evidence[] {
  const found = new Map<string, Evidence[]>()
  const read = eventReader(inventory)
  for (const event of inventory.events) {
    const { used, use: of } = read(event)
    for (const id of used)
      found.set(id, [...(found.get(id) ?? []), { at: event.at, of }])
  }
  return (id) => found.get(id) ?? []
}
