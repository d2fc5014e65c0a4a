import type { Docker } from '../docker/cli.ts'
import { inspectImages } from '../docker/images.ts'
import { saysAbsent } from '../docker/inspect.ts'
import { traitsOf } from '../docker/traits.ts'
import type { Engine, Image } from '../model/inventory.ts'
import type { Outcome } from '../model/outcome.ts'
import type { PlanItem } from '../model/plan.ts'
import { isTag, repositoryOf } from '../model/references.ts'
import { removeImage } from './commands.ts'
import { kept, readRefusal } from './refusal.ts'

/**
 * The references to take off by name: of an image that stays those that expired; of one that goes all but what the
 * engine lets go with its ID, that is one tag and the digests of the same repository.
 */
export function referencesToUntag(
  { decision }: PlanItem,
  references: readonly string[]
): readonly string[] {
  if (decision.action === 'untag') return decision.removedReferences
  const last = references.find(isTag) ?? references[0]
  if (last === undefined) return []
  const repository = repositoryOf(last)
  return references.filter(
    (one) => one !== last && (isTag(one) || repositoryOf(one) !== repository)
  )
}

/**
 * Takes references off an image, if they still mean it; adds each to `done` as soon as it is off. Returns what the
 * engine said of those that it refused, and whether it came to all: it begins none once it is `stopped`. The containerd
 * store compares and deletes in one; on others the reference is read right before, one at a time.
 */
export async function untag(
  docker: Docker,
  engine: Engine,
  { id }: Pick<Image, 'id'>,
  references: readonly string[],
  { done, stopped }: { done: string[]; stopped: () => boolean }
): Promise<{ failures: Outcome[]; cameToAll: boolean }> {
  const failures: Outcome[] = []
  for (const reference of references) {
    if (stopped()) return { failures, cameToAll: false }
    const compares = traitsOf(engine).comparesTags && isTag(reference)
    const read = () => meaningOf(docker, engine, reference)
    if (!compares && (await read()).id !== id) continue
    const name = compares ? `${reference}@${id}` : reference
    const output = await docker([...removeImage, '--', name])
    if (output.exitCode === 0) done.push(reference)
    else {
      const meant = await read()
      const absent = meant.id === undefined && !meant.unreadable
      // It is off, although the engine has no room to write that down.
      if (absent && !saysAbsent(output, 'image', name)) done.push(reference)
      else if (meant.id === id || meant.unreadable) {
        const fate = readRefusal(output, 'image rm')
        failures.push({ ...fate, detail: `${reference}: ${fate.detail ?? ''}` })
      }
    }
  }
  return { failures, cameToAll: true }
}

/** The ID of the image that a reference means; undefined where it means none, or one that is unreadable. */
export async function meaningOf(
  docker: Docker,
  engine: Engine,
  reference: string
): Promise<{ id: string | undefined; unreadable: boolean }> {
  const { found, unreadable } = await inspectImages(docker, engine, [reference])
  return { id: found[0]?.id, unreadable: unreadable.length > 0 }
}

/** How many of the first items have no more to be taken off one by one than `most`; at least one. */
export function countForUntagging(
  items: readonly PlanItem[],
  most: number
): number {
  let references = 0
  const tooMany = items.findIndex((item) => {
    references += referencesToUntag(item, item.references ?? []).length
    return references > most
  })
  return tooMany < 0 ? items.length : Math.max(tooMany, 1)
}

export function readUntagging(done: readonly string[]): Outcome {
  return done.length > 0
    ? { outcome: 'untagged' }
    : kept('its references mean other images now')
}
