import { isBuilder } from './builders.ts'
import type { EngineEvent, Image, Inventory } from './inventory.ts'
import { imageFinder } from './needs.ts'
import { isTag, parseReference, repositoryOf } from './references.ts'

/** How an event reads. Resources are named by ID, volumes by name. */
export type EventReading = {
  /** The resources that it shows in use, and in which way: `pulled`. */
  used: readonly string[]
  use: string
  /** All resources that it speaks of: something about them may have changed. */
  subjects: readonly string[]
  /** A container that may need more than before: its events do not say what (F49). */
  needy?: string
}

type Meaning = { use?: string; needsMore?: true }

const byContainer = 'used by a container'

/** What each action means. Others change something about their subject and are no use. */
const meanings: Record<string, Record<string, Meaning>> = {
  image: {
    build: { use: 'built' },
    // A build without a tag, even if its image existed.
    create: { use: 'built' },
    import: { use: 'imported' },
    load: { use: 'loaded' },
    pull: { use: 'pulled' },
    push: { use: 'pushed' },
    save: { use: 'saved' },
    tag: { use: 'tagged' }
  },
  container: {
    create: { use: byContainer, needsMore: true },
    rename: { needsMore: true },
    start: { use: byContainer, needsMore: true },
    restart: { use: byContainer },
    die: { use: byContainer }
  },
  network: {
    create: { use: 'created' },
    connect: { use: byContainer, needsMore: true },
    disconnect: { use: byContainer }
  },
  volume: {
    create: { use: 'created' },
    mount: { use: byContainer, needsMore: true },
    unmount: { use: byContainer }
  }
}

/** Reads events of the engine, given what was on it before. */
export function eventReader({
  containers,
  images
}: Pick<Inventory, 'containers' | 'images'>): (
  event: EngineEvent
) => EventReading {
  const findImages = imageFinder(images)
  const imageOf = new Map(containers.map(({ id, image }) => [id, image]))
  const builders = new Set(containers.filter(isBuilder).map(({ id }) => id))
  const untagged = images
    .filter(({ references }) => !references.some(isTag))
    .map(({ id }) => id)
  const read = (event: EngineEvent): Omit<EventReading, 'needy'> => {
    const { type, action, id, image, name = '' } = event
    const use = meanings[type]?.[action]?.use ?? ''
    if (type === 'image') {
      // The ID of a pull or push is the reference.
      const about = [...findImages(id), ...findAllOf(images, id)]
      const used = use ? [...new Set(about)] : []
      // A tag may have been taken from another image. A pull names no image: it may be one that had no tag.
      const others = action === 'pull' ? untagged : findImages(name)
      return { used, use, subjects: [...about, ...others] }
    }
    if (type !== 'container')
      return { used: use ? [id] : [], use, subjects: [id] }
    // A client of a builder runs a process in its container.
    if (builders.has(id) && action.startsWith('exec_'))
      return { used: [id], use: 'used by a client', subjects: [id] }
    const used = use ? findImages(imageOf.get(id) ?? image) : []
    return { used, use, subjects: [id, ...used] }
  }
  return (event) => ({
    ...read(event),
    ...(meanings[event.type]?.[event.action]?.needsMore && {
      needy: event.container || event.id
    })
  })
}

/** The IDs of all images of a repository: `pull --all-tags` logs its name alone, once. */
function findAllOf(images: readonly Image[], name: string): string[] {
  const { repository, tag, digest } = parseReference(name)
  if (tag !== undefined || digest !== undefined) return []
  return images
    .filter(({ references, digests }) =>
      [...references, ...digests].some(
        (one) => repositoryOf(one) === repository
      )
    )
    .map(({ id }) => id)
}
