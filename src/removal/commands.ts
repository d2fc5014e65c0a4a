import { imageId } from '../docker/podman.ts'
import type { Kind } from '../model/kinds.ts'

export type RemovableKind = Exclude<Kind, 'builder' | 'build-cache'>

// Without --no-prune the engine takes untagged parents along, protected ones too.
export const removeImage = ['image', 'rm', '--no-prune']

/** How each kind is removed, and how its success reads on standard output. */
export const commands = {
  container: { args: ['container', 'rm'], said: (id: string) => id },
  network: { args: ['network', 'rm'], said: (id: string) => id },
  image: { args: removeImage, said: (id: string) => `Deleted: ${id}` },
  volume: { args: ['volume', 'rm'], said: (name: string) => name }
} satisfies Record<
  RemovableKind,
  { args: string[]; said: (id: string) => string }
>

/** A line that a removal printed. */
export function readWord(line: string): string {
  const deleted = 'Deleted: '
  const word = line.trim()
  return word.startsWith(deleted)
    ? deleted + imageId(word.slice(deleted.length))
    : word
}
