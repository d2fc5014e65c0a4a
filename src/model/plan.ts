import type { Decision } from './decision.ts'
import type { Kind } from './kinds.ts'

/** A pattern of an input that matched nothing on the engine: perhaps a slip of the pen that protects nothing. */
export type Unmatched = {
  input: 'protected-labels' | 'protected-images' | 'pull-request-patterns'
  pattern: string
  /** What is going to be removed and is called nearly the same, if something is. */
  nearest?: string
}

/** One resource with what becomes of it. */
export type PlanItem = {
  kind: Kind
  id: string
  name: string
  references?: string[]
  /** Of a builder: the volume with its state, which goes with it. */
  volume?: string
  decision: Decision
  /** Milliseconds since its last use; undefined if unknown. */
  idle: number | undefined
  /** What its removal frees for certain; undefined where it is not known. 0 for what stays. */
  bytes: number | undefined
  /** What its removal may free, where that is more. */
  bytesAtMost?: number
  /** The figures may be somewhat off. */
  estimated?: boolean
}

export type Plan = {
  /** What it is limited to, in words. */
  scope: string
  items: PlanItem[]
  /** The removals, one step after the other. */
  removalOrder: RemovalStep[]
  unmatched: Unmatched[]
}

/** IDs of items of one kind: none of them needs another, so that all can go at once. */
export type RemovalStep = { kind: Kind; ids: string[] }

/** The one resource that the build cache is: the builder itself picks its records. */
export const buildCacheId = 'build-cache'

/** What of the plan is to go, or is to lose references. */
export function plannedItems(plan: Pick<Plan, 'items'>): PlanItem[] {
  return plan.items.filter(({ decision }) => decision.action !== 'keep')
}

/** Bytes by the ID of the container; unread: some container has a log of a size that cannot be read. */
export type LogSizes = { bytes: ReadonlyMap<string, number>; unread: boolean }

/** Figures that cost an extra call to the engine, in bytes by ID; what is missing is not known. */
export type Sizes = {
  /** With their logs. */
  containers: ReadonlyMap<string, number>
  logs: LogSizes
  volumes: ReadonlyMap<string, number>
  builders: ReadonlyMap<string, number>
  layers: LayerSizes
}

export type LayerSizes = ReadonlyMap<string, readonly number[]>
