import { imageId } from '../docker/podman.ts'
import type { Engine } from '../model/inventory.ts'
import type { Kind } from '../model/kinds.ts'
import type { PlanItem } from '../model/plan.ts'

export type RemovableKind = Exclude<Kind, 'builder' | 'build-cache'>

type Command = {
  args: readonly string[]
  /** The name by which the call addresses an item, and by which the engine reports it. */
  target: (item: PlanItem, engine: Engine) => string
}

// Without --no-prune the engine also removes untagged parents, even protected ones.
export const removeImage = ['image', 'rm', '--no-prune']

const byId = ({ id }: PlanItem) => id

export const commands: Record<RemovableKind, Command> = {
  container: { args: ['container', 'rm'], target: byId },
  network: {
    args: ['network', 'rm'],
    // Podman protects a network in use only when it is addressed by name.
    target: ({ id, name }, { kind }) => (kind === 'podman' ? name : id)
  },
  image: { args: removeImage, target: byId },
  volume: { args: ['volume', 'rm'], target: byId }
}

export const largestBatch = 100

/** Reads the IDs that a stop or a removal printed, one on each line. */
export function readReportedIds(stdout: string): Set<string> {
  const deleted = 'Deleted: '
  return new Set(
    stdout.split('\n').map((line) => {
      const word = line.trim()
      return word.startsWith(deleted)
        ? imageId(word.slice(deleted.length))
        : word
    })
  )
}
