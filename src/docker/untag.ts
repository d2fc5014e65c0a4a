import type { Engine, Image } from '../policy/inventory.ts'
import { parseReference } from '../policy/match.ts'
import type { PlanItem } from '../policy/plan.ts'
import { wordsOf, type Docker } from './cli.ts'
import { saysAbsent } from './inspect.ts'
import { inspectImages } from './inventory.ts'

// Without --no-prune the engine takes untagged parents along, protected ones too.
export const removeImage = ['image', 'rm', '--no-prune']

/**
 * The references to take off by name: of an image that stays those that expired; of one that goes all but what the
 * engine lets go with its ID, that is one tag and the digests of the same repository.
 */
export function referencesToUntag(
  { decision }: PlanItem,
  references: readonly string[]
): readonly string[] {
  if (decision.action === 'untag') return decision.removedReferences
  const last = references.find((one) => !one.includes('@')) ?? references[0]
  if (last === undefined) return []
  const { repository } = parseReference(last)
  return references.filter(
    (one) =>
      one !== last &&
      !(one.includes('@') && parseReference(one).repository === repository)
  )
}

/**
 * Takes references off an image, if they still mean it; adds each to `done` as soon as it is off. Returns the engine's
 * words where it refused. The containerd store compares and deletes in one; on others the reference is read right
 * before, one at a time.
 */
export async function untag(
  docker: Docker,
  engine: Engine,
  { id }: Pick<Image, 'id'>,
  references: readonly string[],
  done: string[]
): Promise<string> {
  const read = async (reference: string) => {
    const { found } = await inspectImages(docker, engine, [reference])
    return found[0]?.id
  }
  let words = ''
  for (const reference of references) {
    const compares = engine.store === 'containerd' && !reference.includes('@')
    if (!compares && (await read(reference)) !== id) continue
    const name = compares ? `${reference}@${id}` : reference
    const output = await docker([...removeImage, '--', name])
    if (output.exitCode === 0) done.push(reference)
    else {
      const meant = await read(reference)
      if (meant === id) words = wordsOf(output, 'image rm')
      // It is off, although the engine has no room to write that down.
      else if (meant === undefined && !saysAbsent(output, 'image', name))
        done.push(reference)
    }
  }
  return words
}
