/** Why a resource stays. */
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
  'built-in',
  'not-included',
  'out-of-scope',
  'pull-request-open',
  'pull-request-unknown'
] as const

/** Why a resource goes. */
export const removeReasons = [
  'expired',
  'dangling',
  'pull-request',
  'job'
] as const

export type KeepReason = (typeof keepReasons)[number]

export type RemoveReason = (typeof removeReasons)[number]

/** What becomes of a resource, why, and the same in a sentence for people. */
export type Decision =
  | {
      action: 'keep'
      reason: KeepReason
      detail: string
      /** The input that holds it, where it is another than the reason says; null where none does. */
      input?: OtherInput
      /** When it can go, if it stays unused until then. */
      eligibleFrom?: number
    }
  | {
      action: 'remove'
      reason: RemoveReason
      detail: string
      /** A container that runs: it is stopped first. */
      stop?: true
    }
  | {
      action: 'untag'
      reason: RemoveReason
      detail: string
      removedReferences: string[]
    }

type OtherInput = 'age-from' | 'build-cache-keep' | null

/** One by which something goes. */
export type Going = Exclude<Decision, { action: 'keep' }>

/** A decision, and the age that it was made by. */
export type Decided = { decision: Decision; age: Age }

export function keep(
  reason: KeepReason,
  detail: string,
  input?: OtherInput
): Decision {
  const kept = { action: 'keep', reason, detail } as const
  return input === undefined ? kept : { ...kept, input }
}

/** What cannot be inspected stays, whatever it is: nobody knows what speaks against its removal. */
export function keepUnreadable(kind: string, name: string): Decision {
  return keep(
    'unreadable',
    `Docker cannot inspect it; to remove it: docker ${kind} rm ${name}`
  )
}

export function remove(reason: RemoveReason, detail: string): Decision {
  return { action: 'remove', reason, detail }
}

/** What a scope says, if it says that something stays. */
export function onlyKeep(decision: Decision | undefined): Decision | undefined {
  return decision?.action === 'keep' ? decision : undefined
}

/** Keeps one more, for what depends on it; false where it stays already, or is not known. */
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

/** How long a resource has been idle, in milliseconds by the engine's clock, and what shows it. */
export type Age =
  { idle: number; of: string } | { atLeast: number; of: string } | 'unknown'
