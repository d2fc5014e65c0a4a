import type { Decision, KeepReason } from '../model/decision.ts'
import type { InputName } from '../model/inputs.ts'
import { type Kind, kinds } from '../model/kinds.ts'

/** The input that keeps a resource, if one does. */
export function inputThatHolds(
  kind: Kind,
  decision: Decision
): InputName | undefined {
  if (decision.action !== 'keep') return undefined
  const { reason, input } = decision
  if (input !== undefined) return input ?? undefined
  return reason === 'not-included' ? kinds[kind].include : inputOf[reason]
}

const inputOf: Partial<Record<KeepReason, InputName>> = {
  'keep-last': 'keep-last',
  recent: 'until',
  'unknown-age': 'until',
  'protected-label': 'protected-labels',
  'protected-image': 'protected-images',
  'named-volume': 'include-volumes',
  'out-of-scope': 'scope',
  rule: 'rules',
  'target-reached': 'until-free-above'
}
