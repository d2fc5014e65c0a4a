import type { CacheRecord } from './inventory.ts'
import type { PlanItem } from './plan.ts'

/** The outcome of a planned removal. */
export type Outcome = {
  outcome: 'kept' | 'removed' | 'untagged' | 'gone' | 'failed'
  /** Why the run did not remove it. */
  reason?: 'changed' | 'budget' | 'target-reached'
  detail?: string
  /** The input that kept it. */
  heldBy?: 'timeout' | 'max-removals' | 'until-free-above'
  /** A container that stays was stopped, as a rule wants it. */
  stopped?: true
  /** References that an image has lost, while the image is still there. */
  removedReferences?: string[]
  /** Bytes freed, as the engine reported. */
  freed?: number
  /** IDs of removed build cache records. */
  removedRecords?: string[]
}

export type Result = Outcome & { item: PlanItem }

/** The results in the order of the removals. */
export type Removal = {
  results: Result[]
  /** The error that ended it early. */
  fatal: Error | undefined
  /** The build cache after the removal of images; undefined if not listed. */
  cacheAfter: CacheRecord[] | undefined
}
