import { ageOf, describeAge, keepForAge, plausible, type Age } from './age.ts'
import type { Context } from './context.ts'
import { keep, list, remove, type Decision } from './decision.ts'
import type { Image } from './inventory.ts'
import { parseReference } from './match.ts'
import { describeUsers, type Needs } from './needs.ts'
import { untilDuration } from './policy.ts'

/**
 * The age of an image: since it was built or tagged, whichever is later. What came from a registry was built
 * elsewhere, long before it came here perhaps: its `Created` alone is no evidence of anything on this engine.
 */
export function ageOfImage(image: Image, now: number): Age {
  return ageOf(
    [
      { at: image.pulled ? undefined : image.createdAt, of: 'created' },
      { at: image.taggedAt, of: 'tagged' }
    ],
    now
  )
}

/** Decides every image by its references; `staying` is what the staying containers need. */
export function decideImages(
  images: readonly Image[],
  staying: Needs,
  context: Context
): Map<string, Decision> {
  const newest = newestByRepository(images, context)
  const decisions = new Map(
    images.map((image) => [image.id, decide(image, staying, newest, context)])
  )
  keepParents(images, decisions)
  return decisions
}

function decide(
  image: Image,
  staying: Needs,
  newest: ReadonlyMap<string, ReadonlySet<string>>,
  context: Context
): Decision {
  const { policy, now } = context
  const { references } = image
  const label = context.protectedBy(image.labels)
  const glob = context.protectedReference(references)
  const users = staying.images.get(image.id)
  if (users !== undefined)
    return keep('in-use', `used by ${describeUsers(users, now)}`)
  if (label !== undefined) return keep('protected-label', label)
  if (glob !== undefined) return keep('protected-image', glob)
  if (policy.includeImages === false)
    return keep('not-included', 'include-images is false')
  if (policy.includeImages === 'dangling' && references.length > 0)
    return keep('not-included', 'include-images takes dangling ones alone')

  const age = ageOfImage(image, now)
  const recent = keepForAge(age, context)
  const kept = references.filter((reference) =>
    newest.get(repositoryOf(reference))?.has(image.id)
  )
  const going = references.filter((reference) => !kept.includes(reference))
  const repositories = list([...new Set(kept.map(repositoryOf))])
  if (kept.length > 0 && (recent !== undefined || going.length === 0))
    return keep(
      'keep-last',
      `among the newest ${policy.keepLast} of ${repositories}`
    )
  if (recent !== undefined) return recent
  if (kept.length > 0)
    return {
      action: 'untag',
      reason: 'expired',
      detail: `${describeAge(age)}; stays for ${repositories}`,
      removedReferences: going
    }
  return remove(
    references.length > 0 ? 'expired' : 'dangling',
    describeAge(age)
  )
}

function repositoryOf(reference: string): string {
  return parseReference(reference).repository
}

/**
 * The newest images of each repository, `keep-last` of them. Images count, not tags. One of unknown age stays by
 * that reason and takes no place; where `until: 0s` asks for no age, one without any date comes last.
 */
function newestByRepository(
  images: readonly Image[],
  { policy, now }: Context
): Map<string, Set<string>> {
  const anyAge = untilDuration(policy, now) === 0
  const counted = images.filter(
    (image) => anyAge || ageOfImage(image, now) !== 'unknown'
  )
  const repositories = new Map<string, Image[]>()
  for (const image of counted)
    for (const repository of new Set(image.references.map(repositoryOf))) {
      const known = repositories.get(repository)
      if (known === undefined) repositories.set(repository, [image])
      else known.push(image)
    }
  return new Map(
    [...repositories].map(([repository, members]) => [
      repository,
      new Set(
        members
          .sort(newestFirst)
          .slice(0, policy.keepLast)
          .map(({ id }) => id)
      )
    ])
  )
}

/** By the date of the build where it is one, else of the arrival; the ID makes the order the same every time. */
function newestFirst(a: Image, b: Image): number {
  const [first, second] = [a, b].map(
    ({ createdAt, taggedAt }) =>
      plausible(createdAt) ?? plausible(taggedAt) ?? 0
  ) as [number, number]
  return (
    second - first ||
    (b.taggedAt ?? 0) - (a.taggedAt ?? 0) ||
    compare(a.id, b.id)
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

/** An image that stays needs its parents (the classic builder leaves them): removing one would break its history. */
function keepParents(
  images: readonly Image[],
  decisions: Map<string, Decision>
): void {
  const byId = new Map(images.map((image) => [image.id, image]))
  for (const image of images) {
    if (decisions.get(image.id)?.action === 'remove') continue
    for (
      let child = image, parent = parentOf(child);
      parent !== undefined && decisions.get(parent.id)?.action !== 'keep';
      child = parent, parent = parentOf(child)
    ) {
      const name = child.references[0] ?? child.id
      decisions.set(parent.id, keep('in-use', `parent of ${name}`))
    }
  }

  function parentOf({ parent }: Image): Image | undefined {
    return parent === undefined ? undefined : byId.get(parent)
  }
}
