import type { CacheRecord } from './inventory.ts'
import type { PlanItem } from './plan.ts'

/** What became of a planned removal. */
export type Outcome = {
  outcome: 'kept' | 'removed' | 'untagged' | 'gone' | 'failed'
  /** Why the run did not do what the plan wanted. */
  reason?: 'changed' | 'budget'
  detail?: string
  /** The input that kept it. */
  heldBy?: 'timeout'
  /** References that were taken off an image that is still there. */
  removedReferences?: string[]
  /** Bytes that the engine said it freed. */
  freed?: number
  /** IDs of the records of the build cache that went. */
  removedRecords?: string[]
}

export type Result = Outcome & { item: PlanItem }

/** Everything that the act did, in order. */
export type Removal = {
  results: Result[]
  /** The error that ended it early, if one did. */
  fatal: Error | undefined
  /** The records of the build cache once the images had gone; undefined where nobody looked, or it did not tell. */
  cacheAfter: CacheRecord[] | undefined
}
