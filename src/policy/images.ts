import { happened, isAhead, plausible } from '../model/dates.ts'
import type { Age } from '../model/decision.ts'
import type { Evidence } from '../model/evidence.ts'
import { ageOrWatch, describeAge, keepForAge } from './age.ts'
import type { Context } from './context.ts'
import {
  type Decided,
  type Decision,
  type Going,
  keep,
  keepDependency,
  remove
} from '../model/decision.ts'
import { compareText, list } from '../words.ts'
import type { Image } from '../model/inventory.ts'
import { isTag, repositoryOf } from '../model/references.ts'
import type { Needs } from '../model/needs.ts'
import { describeUsers } from '../model/users.ts'
import { isRunnerImage, keepForRunner } from './runner.ts'
import { untilDuration } from './limits.ts'

/** Decides every image by its references; `staying` is what the staying containers need. */
export function decideImages(
  images: readonly Image[],
  staying: Needs,
  context: Context
): Map<string, Decided> {
  const newest = newestByRepository(images, context)
  const decided = new Map(
    images.map((image) => {
      const age = ageOfImage(image, context)
      const decision = decideImage(image, age, { newest, staying }, context)
      return [image.id, { decision, age }]
    })
  )
  keepParents(images, decided)
  if (context.engine.takesParents) keepOfStayingParents(images, decided)
  return decided
}

function decideImage(
  image: Image,
  age: Age,
  {
    newest,
    staying
  }: { newest: ReadonlyMap<string, ReadonlySet<string>>; staying: Needs },
  context: Context
): Decision {
  const scoped = context.scope.image(image)
  if (scoped?.action === 'keep') return scoped
  return (
    keepImage(image, staying, context) ??
    keepForRunner(
      isRunnerImage(image),
      cameAt(image, context),
      evidenceOf(image, context),
      context
    ) ??
    decideReferences(image, scoped, age, newest, context)
  )
}

/**
 * The age of an image. Where nothing else is known, it counts from when an earlier run saw it, or from the beginning of
 * the event log, if either goes back far enough: that it was here by then is no sign of use then.
 */
function ageOfImage(image: Image, context: Context): Age {
  const { policy, now, evidence } = context
  const byDate = policy.ageFrom === 'created'
  const createdAt = byDate
    ? plausible(image.createdAt, now)
    : cameAt(image, context)
  const watchedSince = evidence.watchedSince(image.id)
  const known = evidenceOf(image, context)
  const age = ageOrWatch(createdAt, known, watchedSince, context)
  const { logBegan } = evidence
  const dated = known.some(({ at }) => happened(at) !== undefined)
  if (byDate || dated || logBegan === undefined || !isSilent(image, context))
    return age
  const idle = now - logBegan
  const longer = age === 'unknown' || age.idle < idle
  return longer && idle > 0 && idle >= untilDuration(policy, now)
    ? { idle, of: 'in no event of the log, which began' }
    : age
}

/** Whether an image would be in the engine's log, had it come since that began. */
function isSilent(image: Image, { engine, evidence }: Context): boolean {
  // A pull is in the log by its tag: that of an image which has lost one tells of the one that has it now.
  const names = [...image.references, ...image.digests].map(repositoryOf)
  return (
    image.references.some(isTag) &&
    (image.pulled || engine.logsBuilds) &&
    !names.some(evidence.isNamed) &&
    !evidence.isNew(image.id)
  )
}

/**
 * When an image came to this engine, where its `Created` says so. It does not where a registry has the image, or where
 * nothing dates its tags: it was pulled or loaded, or 20.10 built it with BuildKit, perhaps from its cache. The classic
 * builder dates what it makes on the way to a tag.
 */
function cameAt(image: Image, { now, parents }: Context): number | undefined {
  const { id, references, parent, pulled, taggedAt, createdAt } = image
  const onTheWay =
    references.length === 0 && (parent !== undefined || parents.has(id))
  const here = !pulled && (happened(taggedAt) !== undefined || onTheWay)
  return here ? plausible(createdAt, now) : undefined
}

function evidenceOf(
  { id, references, taggedAt, pulled }: Image,
  { evidence, now }: Context
): Evidence[] {
  const dateless = references.length > 0 && happened(taggedAt) === undefined
  const arrived = dateless && !pulled && evidence.isNew(id)
  return [
    { at: taggedAt, of: 'tagged' },
    { at: arrived ? now : undefined, of: 'first seen' },
    ...evidence.of(id, taggedAt)
  ]
}

/** What keeps a whole image, with all its references. */
function keepImage(
  image: Image,
  staying: Needs,
  { policy, now, protectedBy, protectedImage }: Context
): Decision | undefined {
  const users = staying.images.get(image.id)
  if (users !== undefined)
    return keep('in-use', `used by ${describeUsers(users, now)}`)
  const label = protectedBy(image.labels)
  if (label !== undefined) return keep('protected-label', label)
  const glob = protectedImage(image)
  if (glob !== undefined) return keep('protected-image', glob)
  if (policy.includeImages === false)
    return keep('not-included', 'include-images is false')
  return policy.includeImages === 'dangling' && image.references.length > 0
    ? keep('not-included', 'include-images takes dangling ones alone')
    : undefined
}

/** A reference goes with age or by the scope, unless the image is among the newest of that repository. */
function decideReferences(
  { id, references }: Image,
  scoped: Going | undefined,
  age: Age,
  newest: ReadonlyMap<string, ReadonlySet<string>>,
  context: Context
): Decision {
  const inScope =
    scoped?.action === 'untag' ? scoped.removedReferences : references
  const kept = inScope.filter((reference) =>
    newest.get(repositoryOf(reference))?.has(id)
  )
  const going = inScope.filter((one) => !kept.includes(one))
  const recent = keepForAge(age, context, {
    watchedSince: context.evidence.watchedSince(id)
  })
  if (kept.length > 0 && (recent !== undefined || going.length === 0)) {
    const repositories = list([...new Set(kept.map(repositoryOf))])
    return keep(
      'keep-last',
      `among the newest ${context.policy.keepLast} of ${repositories}`
    )
  }
  if (recent !== undefined) return recent
  const reason =
    scoped?.reason ?? (references.length > 0 ? 'expired' : 'dangling')
  const why = scoped?.detail ?? describeAge(age)
  if (going.length === references.length) return remove(reason, why)
  const others = references.filter((one) => !going.includes(one))
  return {
    action: 'untag',
    reason,
    detail: `${why}; stays as ${list(others)}`,
    removedReferences: going
  }
}

/**
 * The newest images of each repository, `keep-last` of them. Images count, not tags. One of unknown age stays by
 * that reason and takes no place; where `until: 0s` asks for no age, one without any date comes last. One that is dated
 * ahead stays among them by its arrival, and takes no place: its builder's clock is wrong.
 */
function newestByRepository(
  images: readonly Image[],
  context: Context
): Map<string, Set<string>> {
  const { policy, now } = context
  const anyAge = untilDuration(policy, now) === 0
  const places = images
    .map((image) => {
      const { id, references, createdAt, taggedAt } = image
      const age = ageOfImage(image, context)
      const arrival = age === 'unknown' ? 0 : now - age.idle
      const date =
        plausible(createdAt, now) ?? plausible(taggedAt, now) ?? arrival
      const names = new Set(references.map(repositoryOf))
      const counts = anyAge || age !== 'unknown'
      return {
        id,
        names,
        arrival,
        date,
        counts,
        ahead: isAhead(createdAt, now)
      }
    })
    .filter(({ counts }) => counts)
    // By the date of the build where it is one, else of the arrival; the ID makes the order the same every time.
    .sort(
      (a, b) =>
        b.date - a.date || b.arrival - a.arrival || compareText(a.id, b.id)
    )
    .flatMap(({ names, ...one }) =>
      [...names].map((name) => ({ name, ...one }))
    )
  return new Map(
    [...Map.groupBy(places, ({ name }) => name)].map(([name, members]) => {
      let left = policy.keepLast
      const newest = members.filter(({ ahead }) => {
        const stays = left > 0
        if (stays && !ahead) left -= 1
        return stays
      })
      return [name, new Set(newest.map(({ id }) => id))]
    })
  )
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
    if (parent && keepDependency(decided, parent.id, `parent of ${name}`))
      left.push(parent)
  }
}

/** Keeps what would take a parent along that is to stay: the last child of an untagged one. */
function keepOfStayingParents(
  images: readonly Image[],
  decided: Map<string, Decided>
): void {
  const goes = ({ id }: Image) => decided.get(id)?.decision.action === 'remove'
  const children = Map.groupBy(images, ({ parent }) => parent)
  const staying = images.filter(
    (one) => !goes(one) && one.references.length === 0
  )
  for (
    let parent = staying.pop();
    parent !== undefined;
    parent = staying.pop()
  ) {
    const [child, ...others] = children.get(parent.id) ?? []
    if (child === undefined || ![child, ...others].every(goes)) continue
    keepDependency(decided, child.id, `its parent stays, and would go with it`)
    if (child.references.length === 0) staying.push(child)
  }
}
