import { happened, plausible } from '../model/dates.ts'
import type { Age } from '../model/decision.ts'
import type { Evidence } from '../model/evidence.ts'
import type { Image } from '../model/inventory.ts'
import { isTag, repositoryOf } from '../model/references.ts'
import { ageOrWatch } from './age.ts'
import type { Context } from './context.ts'

/**
 * The age of an image. If nothing dates it, it has been idle at least since an earlier run first saw it, and at least
 * since the event log began, if the log would have its arrival.
 */
export function ageOfImage(image: Image, context: Context): Age {
  const { limits, now, evidence } = context
  const byDate = limits.ageFrom === 'created'
  const createdAt = byDate
    ? plausible(image.createdAt, now)
    : arrivalOfImage(image, context)
  const known = evidenceOfImage(image, context)
  const watchedSince = evidence.watchedSince(image.id)
  const age = ageOrWatch(createdAt, known, watchedSince, context)
  const { logBegan } = evidence
  const dated = known.some(({ at }) => happened(at) !== undefined)
  if (byDate || dated || logBegan === undefined || !isSilent(image, context))
    return age
  const atLeast = now - logBegan
  const watched = age !== 'unknown' && 'atLeast' in age ? age.atLeast : 0
  return atLeast > watched
    ? { atLeast, of: 'unused since the event log began' }
    : age
}

/** Whether the image came before the event log began: otherwise the log would have it. */
function isSilent(image: Image, { engine, evidence }: Context): boolean {
  // A pull is logged by its tag, which another image may have by now.
  const names = [...image.references, ...image.digests].map(repositoryOf)
  return (
    image.references.some(isTag) &&
    (image.pulled || engine.logsBuilds) &&
    !names.some(evidence.isNamed) &&
    !evidence.isNew(image.id)
  )
}

/**
 * When an image came to this engine, if its `Created` says so. It does not for an image that a registry has, or whose
 * tags have no date: that was pulled or loaded, or 20.10 built it with BuildKit, perhaps from its cache. The classic
 * builder dates its intermediate images.
 */
export function arrivalOfImage(
  image: Image,
  { now, parents }: Context
): number | undefined {
  const { id, references, parent, pulled, taggedAt, createdAt } = image
  const intermediate =
    references.length === 0 && (parent !== undefined || parents.has(id))
  const here = !pulled && (happened(taggedAt) !== undefined || intermediate)
  return here ? plausible(createdAt, now) : undefined
}

export function evidenceOfImage(
  { id, references, taggedAt, pulled }: Image,
  { evidence, running, now }: Context
): Evidence[] {
  const dateless = references.length > 0 && happened(taggedAt) === undefined
  const arrived = dateless && !pulled && evidence.isNew(id)
  return [
    { at: taggedAt, of: 'tagged' },
    { at: arrived ? now : undefined, of: 'first seen' },
    { at: running.has(id) ? now : undefined, of: 'used by a container' },
    ...evidence.of(id, taggedAt)
  ]
}
