export type KeepReason =
  | 'in-use'
  | 'protected-label'
  | 'protected-image'
  | 'keep-last'
  | 'recent'
  | 'unknown-age'
  | 'named-volume'
  | 'built-in'
  | 'not-included'

export type RemoveReason = 'expired' | 'dangling'

/** What becomes of a resource, why, and the same in a sentence for people. */
export type Decision =
  | { action: 'keep'; reason: KeepReason; detail: string }
  | { action: 'remove'; reason: RemoveReason; detail: string }
  | {
      action: 'untag'
      reason: RemoveReason
      detail: string
      removedReferences: string[]
    }

export function keep(reason: KeepReason, detail: string): Decision {
  return { action: 'keep', reason, detail }
}

export function remove(reason: RemoveReason, detail: string): Decision {
  return { action: 'remove', reason, detail }
}

/** Joins the first few of a list for a sentence: `a, b and 3 more`. */
export function list(names: readonly string[]): string {
  const shown = names.slice(0, 3)
  const more = names.length - shown.length
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '')
}
