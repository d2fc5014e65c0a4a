import type { Decision } from './decision.ts'
import type { Kind } from './kinds.ts'

/** A pattern of an input that matches nothing on the engine: perhaps a typo. */
export type Unmatched = {
  input:
    'protected-labels' | 'protected-images' | 'pull-request-patterns' | 'rules'
  pattern: string
  /** The most similar name, if any is similar, and whether it is to be removed. */
  nearest?: { name: string; goes: boolean }
  /** The lines of the rules that decide everything that this one matches. */
  decidedBy?: readonly number[]
}

/** A resource with its decision. */
export type PlanItem = {
  kind: Kind
  id: string
  name: string
  references?: string[]
  /** The lines of the rules that decide it: of an image by reference, otherwise by its ID. */
  ruled?: ReadonlyMap<string, number>
  /** A builder's state volume, which goes with it. */
  volume?: string
  decision: Decision
  /** Milliseconds since its last use; undefined if unknown. */
  idle: number | undefined
  /** Freed for certain by its removal; undefined if unknown, 0 if it stays. */
  bytes: number | undefined
  /** Freed at most, if that is more. */
  bytesAtMost?: number
  /** The bytes are approximate. */
  estimated?: boolean
}

export type Plan = {
  /** In words, see `describeScope`. */
  scope: string
  items: PlanItem[]
  removalOrder: RemovalStep[]
  unmatched: Unmatched[]
}

/** Items of one kind that do not need each other, and can be removed at once. */
export type RemovalStep = { kind: Kind; ids: string[] }

/** The build cache is one resource: the builder picks the records. */
export const buildCacheId = 'build-cache'

/** The items to remove or untag. */
export function plannedItems(plan: Pick<Plan, 'items'>): PlanItem[] {
  return plan.items.filter(({ decision }) => decision.action !== 'keep')
}

/** Whether it runs, and is stopped. */
export function isStopped({ decision }: PlanItem): boolean {
  return 'stop' in decision
}

export function isStoppedByRule(item: PlanItem): boolean {
  return (
    item.kind === 'container' &&
    isStopped(item) &&
    item.decision.rule !== undefined
  )
}

/** The containers that a rule only stops. */
export function itemsToStop(plan: Pick<Plan, 'items'>): PlanItem[] {
  return plan.items.filter(
    (item) => item.decision.action === 'keep' && isStopped(item)
  )
}

/** Bytes by the container's ID. `unread`: the size of some log cannot be read. */
export type LogSizes = { bytes: ReadonlyMap<string, number>; unread: boolean }

/** Figures that cost extra calls, in bytes by ID; a missing one is unknown. */
export type Sizes = {
  /** Including logs. */
  containers: ReadonlyMap<string, number>
  logs: LogSizes
  volumes: ReadonlyMap<string, number>
  builders: ReadonlyMap<string, number>
  layers: LayerSizes
}

export type LayerSizes = ReadonlyMap<string, readonly number[]>
