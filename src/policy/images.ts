import { ageOf, describeAge, keepForAge, plausible, type Age } from './age.ts'
import { namesOf, type Context } from './context.ts'
import {
  compareText,
  keep,
  keepAsWell,
  list,
  remove,
  type Decided,
  type Decision
} from './decision.ts'
import type { Image } from './inventory.ts'
import { parseReference } from './match.ts'
import { describeUsers, type Needs } from './needs.ts'
import { untilDuration } from './policy.ts'

/** Decides every image by its references; `staying` is what the staying containers need. */
export function decideImages(
  images: readonly Image[],
  staying: Needs,
  context: Context
): Map<string, Decided> {
  const newest = newestByRepository(images, context)
  const decided = new Map(
    images.map((image) => {
      const age = ageOfImage(image, context.now)
      const decision =
        keepAnyway(image, staying, context) ??
        decideByAge(image, age, newest, context)
      return [image.id, { decision, age }]
    })
  )
  keepParents(images, decided)
  return decided
}

/**
 * The age of an image: since it was built or tagged, whichever is later. What came from a registry was built
 * elsewhere, long before it came here perhaps: its `Created` alone is no evidence of anything on this engine.
 */
function ageOfImage(image: Image, now: number): Age {
  return ageOf(
    [
      { at: image.pulled ? undefined : image.createdAt, of: 'created' },
      { at: image.taggedAt, of: 'tagged' }
    ],
    now
  )
}

/** What keeps a whole image, with all its references. */
function keepAnyway(
  image: Image,
  staying: Needs,
  { policy, now, protectedBy, protectedReference }: Context
): Decision | undefined {
  const users = staying.images.get(image.id)
  if (users !== undefined)
    return keep('in-use', `used by ${describeUsers(users, now)}`)
  const label = protectedBy(image.labels)
  if (label !== undefined) return keep('protected-label', label)
  const glob = protectedReference(namesOf(image))
  if (glob !== undefined) return keep('protected-image', glob)
  if (policy.includeImages === false)
    return keep('not-included', 'include-images is false')
  return policy.includeImages === 'dangling' && image.references.length > 0
    ? keep('not-included', 'include-images takes dangling ones alone')
    : undefined
}

/** A reference goes with age, unless the image is among the newest of that repository. */
function decideByAge(
  image: Image,
  age: Age,
  newest: ReadonlyMap<string, ReadonlySet<string>>,
  context: Context
): Decision {
  const { references } = image
  const recent = keepForAge(age, context)
  const kept = references.filter((reference) =>
    newest.get(repositoryOf(reference))?.has(image.id)
  )
  if (kept.length === 0)
    return (
      recent ??
      remove(references.length > 0 ? 'expired' : 'dangling', describeAge(age))
    )
  const repositories = list([...new Set(kept.map(repositoryOf))])
  if (recent !== undefined || kept.length === references.length)
    return keep(
      'keep-last',
      `among the newest ${context.policy.keepLast} of ${repositories}`
    )
  return {
    action: 'untag',
    reason: 'expired',
    detail: `${describeAge(age)}; stays for ${repositories}`,
    removedReferences: references.filter((one) => !kept.includes(one))
  }
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
  const places = images
    .filter((image) => anyAge || ageOfImage(image, now) !== 'unknown')
    .sort(newestFirst)
    .flatMap(({ id, references }) =>
      [...new Set(references.map(repositoryOf))].map((name) => ({ name, id }))
    )
  return new Map(
    [...Map.groupBy(places, ({ name }) => name)].map(([name, members]) => {
      const newest = members.slice(0, policy.keepLast)
      return [name, new Set(newest.map(({ id }) => id))]
    })
  )
}

/** By the date of the build where it is one, else of the arrival; the ID makes the order the same every time. */
function newestFirst(a: Image, b: Image): number {
  return (
    dateOf(b) - dateOf(a) ||
    (plausible(b.taggedAt) ?? 0) - (plausible(a.taggedAt) ?? 0) ||
    compareText(a.id, b.id)
  )
}

function dateOf({ createdAt, taggedAt }: Image): number {
  return plausible(createdAt) ?? plausible(taggedAt) ?? 0
}

/** An image that stays needs its parents (the classic builder leaves them): removing one would break its history. */
function keepParents(
  images: readonly Image[],
  decided: Map<string, Decided>
): void {
  const byId = new Map(images.map((image) => [image.id, image]))
  const left = images.filter(
    ({ id }) => decided.get(id)?.decision.action !== 'remove'
  )
  for (let child = left.pop(); child !== undefined; child = left.pop()) {
    const parent = byId.get(child.parent ?? '')
    const name = child.references[0] ?? child.id
    if (parent && keepAsWell(decided, parent.id, `parent of ${name}`))
      left.push(parent)
  }
}
