import { traitsOf } from '../docker/traits.ts'
import type { ImageFacts, Inventory } from '../model/inventory.ts'
import { messages } from '../model/messages.ts'
import type { Removal } from '../model/outcome.ts'
import type { Sizes } from '../model/plan.ts'
import { writeFacts } from '../state/imageFacts.ts'
import { entriesThatHold, updateLedger } from '../state/ledger.ts'
import { readLedger, writeLedger } from '../state/ledgerFile.ts'
import type { EngineKey } from '../state/stateFile.ts'
import type { Planned } from './plan.ts'
import type { Log, Looked } from './world.ts'

/** Adds what earlier runs have seen, and writes what this one sees. Never throws: a broken ledger is a warning. */
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
    if (why !== undefined) log.warning(messages.memoryUnusable(why))
  return { ...inventory, remembers: failure === undefined }
}

/** Writes what this run has learnt: facts of images, and the ledger without what is gone. */
export async function rememberAfter(
  stateDir: string,
  looked: Looked,
  { inventory, sizes }: Planned,
  removal: Removal | undefined
): Promise<void> {
  const facts = factsOf(inventory, sizes, removal)
  if (facts.size > 0) await writeFacts(stateDir, looked.key, facts)
  await forget(stateDir, looked, inventory, removal)
}

/** Takes what is gone out of the ledger: under the same name it would be something new. */
async function forget(
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
  // Read again: another run may have written meanwhile. If it could not be written before, there may be room now.
  const { entries = updateLedger(inventory) } = inventory.remembers
    ? await readLedger(stateDir, key, now)
    : {}
  const left = entries.filter(({ id }) => !gone.has(id))
  await writeLedger(stateDir, key, left, now)
}

/** What the next run need not ask again. Images with an outcome are gone, or were not as remembered. */
function factsOf(
  { engine, images }: Inventory,
  { layers }: Sizes,
  removal: Removal | undefined
): Map<string, ImageFacts> {
  const outcomes = new Map(
    removal?.results.map(({ item, outcome }) => [item.id, outcome])
  )
  const { remembersImages } = traitsOf(engine)
  return new Map(
    images.flatMap((image) => {
      const { id } = image
      const outcome = outcomes.get(id)
      if (outcome === 'removed' || outcome === 'gone') return []
      const layerSizes = layers.get(id)
      const same = remembersImages && outcome === undefined ? image : undefined
      return same || layerSizes
        ? [[id, { image: same, layerSizes }] as const]
        : []
    })
  )
}
