import { type Decision, keep } from '../model/decision.ts'
import type { Evidence } from '../model/evidence.ts'
import type { Container, Image, Network } from '../model/inventory.ts'
import { ageOf, describeAge } from './age.ts'
import type { Context } from './context.ts'
import { idleTime } from './limits.ts'

const day = 86_400_000

/** GitHub's limit for a job on a self-hosted runner. */
const longestJob = 5 * day

/**
 * Keeps what GitHub's runner made for its jobs: images of container actions, service containers, networks. The runner
 * builds and pulls when it sets up a job, and fails the job if they are gone later. They stay for a day after their last
 * use and while a job runs that began before it; for five days where the jobs cannot be seen. An unknown age is fresh.
 */
export function keepForRunner(
  owned: boolean,
  createdAt: number | undefined,
  evidence: readonly Evidence[],
  { now, oldestJob }: Context
): Decision | undefined {
  if (!owned) return undefined
  const fresh =
    oldestJob === undefined ? longestJob : Math.max(day, now - oldestJob)
  const limits = { ageFrom: 'last-used' as const }
  const age = ageOf(createdAt, evidence, { limits, now })
  return (idleTime(age, { until: fresh }) ?? 0) >= fresh
    ? undefined
    : keep(
        'runner-owned',
        `created by the runner for a job; ${describeAge(age)}`
      )
}

/** The runner tags the images of container actions like this: six digits of its own hash, and 32 of the action's. */
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

/** The runner's label is six digits of its own hash. */
function hasRunnerLabel(labels: Record<string, string>): boolean {
  return Object.keys(labels).some((key) => /^[0-9a-f]{6}$/.test(key))
}
