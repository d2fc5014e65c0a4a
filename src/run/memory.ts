import { traitsOf } from '../docker/traits.ts'
import type { ImageFacts, Inventory } from '../model/inventory.ts'
import type { Removal } from '../model/outcome.ts'
import type { Sizes } from '../model/plan.ts'
import type { Looked, Log } from './world.ts'
import { entriesThatHold, updateLedger } from '../state/ledger.ts'
import { readLedger, writeLedger } from '../state/ledgerFile.ts'
import type { EngineKey } from '../state/stateFile.ts'

/** Adds what earlier runs have seen, and writes down what this one sees. Never fails: what goes wrong is a warning. */
export async function remember(
  listed: Inventory,
  key: EngineKey,
  stateDir: string,
  log: Log
): Promise<Inventory> {
  if (stateDir === '') return listed
  const { now } = listed.engine
  const { entries, problem } = await readLedger(stateDir, key, now)
  const ledger = entries && entriesThatHold(entries, listed.volumes)
  const inventory = { ...listed, ledger, remembers: true }
  const updated = updateLedger(inventory)
  const failure = await writeLedger(stateDir, key, updated, now)
  for (const why of [problem, failure])
    if (why !== undefined)
      log.warning(
        `The ledger of earlier runs (state-dir) cannot be used: ${why}. What nothing else dates may stay longer for that.`
      )
  return { ...inventory, remembers: failure === undefined }
}

/** Takes what has gone out of the ledger: should it come back, it is not what was known. */
export async function forget(
  stateDir: string,
  { key, lookedAt }: Looked,
  inventory: Inventory,
  removal: Removal | undefined
): Promise<void> {
  const gone = new Set(
    removal?.results
      .filter(({ outcome }) => outcome === 'removed' || outcome === 'gone')
      .flatMap(({ item }) => [item.id, item.volume])
  )
  if (gone.size === 0 && inventory.remembers) return
  const now = inventory.engine.now + Date.now() - lookedAt
  // Anew, as another run may have written meanwhile; and where it could not be written, there may be room now.
  const { entries = updateLedger(inventory) } = inventory.remembers
    ? await readLedger(stateDir, key, now)
    : {}
  const left = entries.filter(({ id }) => !gone.has(id))
  await writeLedger(stateDir, key, left, now)
}

/** What the next run need not ask again: not of what went, or was not as it was thought to be. */
export function factsOf(
  { engine, images }: Inventory,
  { layers }: Sizes,
  removal: Removal | undefined
): Map<string, ImageFacts> {
  const fates = new Map(
    removal?.results.map(({ item, outcome }) => [item.id, outcome])
  )
  const { remembersImages } = traitsOf(engine)
  return new Map(
    images.flatMap((image) => {
      const { id } = image
      const fate = fates.get(id)
      if (fate === 'removed' || fate === 'gone') return []
      const layerSizes = layers.get(id)
      const same = remembersImages && fate === undefined ? image : undefined
      return same || layerSizes
        ? [[id, { image: same, layerSizes }] as const]
        : []
    })
  )
}
