import type { Age } from '../policy/age.ts'

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
export function keepAsWell(
  decided: Map<string, Decided>,
  id: string,
  detail: string
): boolean {
  const known = decided.get(id)
  if (known === undefined || known.decision.action === 'keep') return false
  decided.set(id, { ...known, decision: keep('in-use', detail) })
  return true
}

/** Joins the first few of a list for a sentence: `a, b and 3 more`. */
export function list(names: readonly string[], most = 3): string {
  const shown = names.slice(0, most)
  const more = names.length - shown.length
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '')
}

/** Orders text by its characters' codes, the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
