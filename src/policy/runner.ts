import type { Evidence } from '../model/evidence.ts'
import { ageOf, describeAge } from './age.ts'
import type { Context } from './context.ts'
import { keep, type Decision } from '../model/decision.ts'
import type { Container, Image, Network } from '../model/inventory.ts'

const day = 86_400_000

/** A job on a self-hosted runner may take as long. */
const longestJob = 5 * day

/**
 * Keeps what GitHub's runner made for its jobs (the images of container actions, service containers, networks) while
 * it may still need it: it builds and pulls when a job is set up, and fails the job if that is gone later. Whatever
 * `until` and `age-from` say: until a day after its last use, and as long as a job lives that began before; where
 * nobody can see the jobs, five days. Unknown counts as fresh.
 */
export function keepForRunner(
  owned: boolean,
  createdAt: number | undefined,
  evidence: readonly Evidence[],
  { policy, now, oldestJob }: Context
): Decision | undefined {
  if (!owned) return undefined
  const fresh =
    oldestJob === undefined ? longestJob : Math.max(day, now - oldestJob)
  const lastUsed = { ...policy, ageFrom: 'last-used' as const }
  const age = ageOf(createdAt, evidence, { policy: lastUsed, now })
  return age !== 'unknown' && age.idle >= fresh
    ? undefined
    : keep('runner-owned', `made by the runner for a job; ${describeAge(age)}`)
}

/** The runner names the image of a container action after itself and the action. */
export function isRunnerImage({ references, aliases }: Image): boolean {
  return [...references, ...aliases].some((one) =>
    /^[0-9a-f]{6}:[0-9a-f]{32}$/.test(one)
  )
}

export function isRunnerNetwork({ name, labels }: Network): boolean {
  return name.startsWith('github_network_') || hasRunnerLabel(labels)
}

export function isRunnerContainer({ labels }: Container): boolean {
  return hasRunnerLabel(labels)
}

/** The runner's label is six digits of a hash of its own. */
function hasRunnerLabel(labels: Record<string, string>): boolean {
  return Object.keys(labels).some((key) => /^[0-9a-f]{6}$/.test(key))
}
