export const keepReasons = [
  'in-use',
  'protected-label',
  'protected-image',
  'keep-last',
  'recent',
  'unknown-age',
  'named-volume',
  'runner-owned',
  'unreadable',
  'rule',
  'target-reached',
  'built-in',
  'not-included',
  'out-of-scope',
  'pull-request-open',
  'pull-request-unknown'
] as const

export const removeReasons = [
  'expired',
  'dangling',
  'pull-request',
  'job'
] as const

export type KeepReason = (typeof keepReasons)[number]

export type RemoveReason = (typeof removeReasons)[number]

/** The fate of a resource, its reason, and the reason as a sentence. */
export type Decision = {
  /** The line of the rule that decided. */
  rule?: number
} & (
  | {
      action: 'keep'
      reason: KeepReason
      detail: string
      /** The input that holds it, if not the one that goes with the reason; null for none. */
      input?: OtherInput
      /** When it can go if it stays unused. */
      eligibleFrom?: number
      /** It runs, and a rule stops it. */
      stop?: true
    }
  | {
      action: 'remove'
      reason: RemoveReason
      detail: string
      /** It runs, and is stopped first. */
      stop?: true
    }
  | {
      action: 'untag'
      reason: RemoveReason
      detail: string
      removedReferences: string[]
    }
)

type OtherInput = 'age-from' | 'build-cache-keep' | 'rules' | null

type Kept = Extract<Decision, { action: 'keep' }>

type Removed = Extract<Decision, { action: 'remove' }>

export type Going = Exclude<Decision, { action: 'keep' }>

/** How long a resource has been idle, exactly or at least, in milliseconds by the engine's clock, and the evidence. */
export type Age =
  { idle: number; of: string } | { atLeast: number; of: string } | 'unknown'

/** A decision, and how long the resource has been idle, in milliseconds; undefined if unknown. */
export type Decided = { decision: Decision; idle: number | undefined }

export function keep(
  reason: KeepReason,
  detail: string,
  input?: OtherInput
): Kept {
  const kept = { action: 'keep', reason, detail } as const
  return input === undefined ? kept : { ...kept, input }
}

/** Keeps what cannot be inspected: any reason to keep it may be hidden. */
export function keepUnreadable(kind: string, name: string): Decision {
  return keep(
    'unreadable',
    `cannot be inspected; to remove: docker ${kind} rm ${name}`
  )
}

export function remove(reason: RemoveReason, detail: string): Removed {
  return { action: 'remove', reason, detail }
}

/** The decision of a scope, if it is to keep. */
export function onlyKeep(decision: Decision | undefined): Decision | undefined {
  return decision?.action === 'keep' ? decision : undefined
}

/** The decision of a scope, if it is not to keep. */
export function onlyGoing(decision: Decision | undefined): Going | undefined {
  return decision?.action === 'keep' ? undefined : decision
}

/** Keeps a resource that a staying one depends on; returns false if it stays anyway or is unknown. */
export function keepDependency(
  decided: Map<string, Decided>,
  id: string,
  detail: string
): boolean {
  const known = decided.get(id)
  if (known === undefined || known.decision.action === 'keep') return false
  decided.set(id, { ...known, decision: keep('in-use', detail) })
  return true
}
