import {
  type Age,
  type Decided,
  type Decision,
  keep,
  keepDependency,
  onlyGoing,
  onlyKeep
} from '../model/decision.ts'
import type { Image } from '../model/inventory.ts'
import type { Needs } from '../model/needs.ts'
import { describeUsers } from '../model/users.ts'
import type { Context } from './context.ts'
import { ageOfImage, arrivalOfImage, evidenceOfImage } from './imageAge.ts'
import { findNewest, type Newest } from './keepLast.ts'
import { decideReferences } from './imageReferences.ts'
import { idleTime } from './limits.ts'
import { isRunnerImage, keepForRunner } from './runner.ts'

/** Decides every image by its references; `staying` has the needs of the staying containers. */
export function decideImages(
  images: readonly Image[],
  staying: Needs,
  context: Context
): Map<string, Decided> {
  const ages = new Map(images.map((one) => [one.id, ageOfImage(one, context)]))
  const newest = findNewest(images, ages, context)
  const decided = new Map(
    images.map((image) => {
      const age = ages.get(image.id) ?? 'unknown'
      return [image.id, decideImage(image, age, { newest, staying }, context)]
    })
  )
  keepParents(images, decided)
  if (context.engine.takesParents) keepOfStayingParents(images, decided)
  return decided
}

function decideImage(
  image: Image,
  age: Age,
  { newest, staying }: { newest: Newest; staying: Needs },
  context: Context
): Decided {
  const scoped = context.scope.image(image)
  const kept =
    onlyKeep(scoped) ??
    keepImage(image, staying, context) ??
    keepForRunner(
      isRunnerImage(image),
      arrivalOfImage(image, context),
      evidenceOfImage(image, context),
      context
    )
  return kept === undefined
    ? decideReferences(image, onlyGoing(scoped), age, newest, context)
    : { decision: kept, idle: idleTime(age, context.limits) }
}

/** Keeps a whole image, with all its references. */
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
    ? keep(
        'not-included',
        'not dangling; only removed with include-images: true'
      )
    : undefined
}

/** Keeps the parents of a staying image, which the classic builder leaves: without them its history breaks. */
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
    if (parent && keepDependency(decided, parent.id, `parent of image ${name}`))
      left.push(parent)
  }
}

/** Keeps the last child of a staying untagged parent: Podman 4 would remove the parent along with it. */
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
    keepDependency(
      decided,
      child.id,
      'Podman would also remove the parent image, which is kept'
    )
    if (child.references.length === 0) staying.push(child)
  }
}
