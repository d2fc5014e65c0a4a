import type { Container, Engine, EngineEvent } from '../model/inventory.ts'
import { compareText } from '../words.ts'
import { repositoryOf } from '../model/references.ts'

// What Podman does otherwise than Docker behind the same API; seen on 4.3.1 and 5.4.2 where nothing else is said.

/** Tells Podman from Docker by what `version` lists of the server's parts. */
export function isPodman(components: readonly { Name: string }[]): boolean {
  return components.some(({ Name }) => Name === 'Podman Engine')
}

/** Podman 4 takes untagged parents along for all that `--no-prune` says; Podman 5 does not. */
export function takesParents(version: string): boolean {
  return Number.parseInt(version, 10) < 5
}

/** What is left alone on Podman, said once. */
export function podmanNote({ version, takesParents }: Engine): string {
  return (
    `This engine is Podman ${version}. Left alone are pods with all their containers, named volumes, and builders of buildx. ` +
    'An image is as old as the event log and earlier runs tell: when it was built does not say when it came here. ' +
    'A build at the same time can fail while images are removed.' +
    (takesParents
      ? ' An image whose untagged parent stays is left alone, too: this version would take the parent along.'
      : '')
  )
}

/** IDs of images come without `sha256:` in events, of parents, and in what a removal prints. */
export function imageId(id: string): string {
  return /^[0-9a-f]{64}$/.test(id) ? `sha256:${id}` : id
}

/**
 * The names by which the store holds an image, in the order of what people call them. The digests that it lists are made up from all of them; one of a
 * repository without a tag is a name of its own.
 */
export function podmanReferences(
  tags: readonly string[],
  digests: readonly string[]
): string[] {
  const tagged = new Set(tags.map(repositoryOf))
  return [
    ...tags,
    ...digests.filter((one) => !tagged.has(repositoryOf(one)))
  ].sort((a, b) => compareText(shortName(a), shortName(b)))
}

function shortName(reference: string): string {
  return reference.replace(/^(?:docker\.io(?:\/library)?|localhost)\//, '')
}

/** What was built or loaded without a registry's name is `localhost/app`, and `app` for whoever asks for it. */
export function podmanAliases(references: readonly string[]): string[] {
  return references.filter((one) => one.startsWith('localhost/')).map(shortName)
}

/** Events in Docker's words: some have a name in the place of the ID, and a load is another word. */
export function podmanEvent(event: EngineEvent, name: string): EngineEvent {
  const id = event.id || name
  return {
    ...event,
    action: event.action === 'loadfromarchive' ? 'load' : event.action,
    id: event.type === 'image' ? imageId(id) : id
  }
}

/** Milliseconds: longer than it takes to read a whole log (1 MB at most, where it is a file). */
const readingTime = 3_000

/**
 * Until when to ask for the event log. A log that is a file stops being read at that moment, at whatever event it had
 * come to, and without an error: what is asked for until now comes back in part, or empty.
 */
export function podmanLogEnd(now: number): number {
  return now + readingTime
}

/**
 * Containers of a pod are in no state that may be removed: they make up a whole that can be started again. The one
 * that holds the pod together the engine removes only with the pod, and the others join its network. Nothing else that
 * Docker's API has tells of pods.
 */
export function markPods(containers: readonly Container[]): Container[] {
  const infra = new Set(containers.filter(holdsPodTogether).map(({ id }) => id))
  return containers.map((container) =>
    infra.has(container.id) || container.joins.some((id) => infra.has(id))
      ? { ...container, state: `${container.state}, and part of a pod` }
      : container
  )
}

function holdsPodTogether({ name, imageReference }: Container): boolean {
  return (
    /^[0-9a-f]{12}-infra$/.test(name) ||
    /(?:^|\/)(?:podman-)?pause[:@]/.test(imageReference)
  )
}

/** Tells whether a line of an error says that the thing called NAME is not there. */
export function podmanSaysAbsent(line: string, type: string): boolean {
  return [
    `no ${type} with name(?: or ID)? "NAME" found: no such ${type}`,
    `${type} with name NAME not found: no such ${type}`,
    `failed to find ${type} NAME: .*: no such ${type}`,
    `unable to find ${type} with name or ID NAME: ${type} not found`
  ].some((words) => new RegExp(`: ${words}$`, 'i').test(line))
}

/** Podman 5 leaves out the name of a volume that is not there: if that is all it says, it is said of each. */
export function saysAllAbsent(lines: readonly string[]): boolean {
  const nameless = 'Error response from daemon: no such volume'
  return lines.length > 0 && lines.every((line) => line.trim() === nameless)
}
