import type { Container, Engine, EngineEvent } from '../model/inventory.ts'
import { repositoryOf } from '../model/references.ts'
import { compareText } from '../words.ts'

// Where Podman differs from Docker behind the same API. Seen on 4.3.1 and 5.4.2 unless noted.

export function isPodman(components: readonly { Name: string }[]): boolean {
  return components.some(({ Name }) => Name === 'Podman Engine')
}

/** Podman 4 removes untagged parents with an image despite `--no-prune`; Podman 5 does not. */
export function takesParents(version: string): boolean {
  return Number.parseInt(version, 10) < 5
}

export function podmanNote({ version, takesParents }: Engine): string {
  return (
    `This engine is Podman ${version}. Pods with their containers, named volumes and buildx builders are never removed. ` +
    'The age of an image comes from the event log and earlier runs, as its build date does not show when it arrived. ' +
    'A build can fail if it runs while images are removed.' +
    (takesParents
      ? ' An image whose untagged parent is kept is kept too: this version would remove the parent with it.'
      : '')
  )
}

/** Adds the `sha256:` that Podman leaves out in events, of parents and in the output of a removal. */
export function imageId(id: string): string {
  return /^[0-9a-f]{64}$/.test(id) ? `sha256:${id}` : id
}

/** The names of an image, sorted by their short form. A digest counts only if its repository has no tag. */
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

/** Podman names an image built without a registry `localhost/app`, and also finds it as `app`. */
export function podmanAliases(references: readonly string[]): string[] {
  return references.filter((one) => one.startsWith('localhost/')).map(shortName)
}

/** Converts an event to Docker's form: some have a name instead of an ID, and a load has another action. */
export function podmanEvent(event: EngineEvent, name: string): EngineEvent {
  const id = event.id || name
  return {
    ...event,
    action: event.action === 'loadfromarchive' ? 'load' : event.action,
    id: event.type === 'image' ? imageId(id) : id
  }
}

/** Milliseconds: longer than it takes to read a whole log, which is at most 1 MB. */
const readingTime = 3_000

/** Podman stops reading a log file at the time of `--until`, wherever it is then and without an error. */
export function podmanLogEnd(now: number): number {
  return now + readingTime
}

/** Gives containers of a pod a state that is never removed. Docker's API shows a pod only by its infra container. */
export function markPods(containers: readonly Container[]): Container[] {
  const infra = new Set(containers.filter(isInfra).map(({ id }) => id))
  return containers.map((container) =>
    infra.has(container.id) || container.joins.some((id) => infra.has(id))
      ? { ...container, state: `${container.state}, part of a pod` }
      : container
  )
}

function isInfra({ name, imageReference }: Container): boolean {
  return (
    /^[0-9a-f]{12}-infra$/.test(name) ||
    /(?:^|\/)(?:podman-)?pause[:@]/.test(imageReference)
  )
}

export function podmanSaysAbsent(line: string, type: string): boolean {
  return [
    `no ${type} with name(?: or ID)? "NAME" found: no such ${type}`,
    `${type} with name NAME not found: no such ${type}`,
    `failed to find ${type} NAME: .*: no such ${type}`,
    `unable to find ${type} with name or ID NAME: ${type} not found`
  ].some((words) => new RegExp(`: ${words}$`, 'i').test(line))
}

/** Podman 5 does not name a missing volume: if it prints nothing else, all volumes of the call are missing. */
export function saysAllAbsent(lines: readonly string[]): boolean {
  const nameless = 'Error response from daemon: no such volume'
  return lines.length > 0 && lines.every((line) => line.trim() === nameless)
}
