import { isAhead, plausible } from '../model/dates.ts'
import type { Age } from '../model/decision.ts'
import type { Image } from '../model/inventory.ts'
import { repositoryOf } from '../model/references.ts'
import type { Rule } from '../model/rules.ts'
import { compareText } from '../words.ts'
import type { Context } from './context.ts'
import { idleTime } from './limits.ts'
import { decidingReferences, limitsUnder } from './rules.ts'

/** Whether an image is among the newest of the repository of a reference, as counted under its rule. */
export type Newest = (
  id: string,
  reference: string,
  rule: Rule | undefined
) => boolean

/**
 * Finds the newest `keep-last` images of each repository: images count, not tags. Each rule counts those with a
 * reference that it decides, and those that no rule decides are counted apart. An image of unknown age does not count,
 * and stays for that reason; with `until: 0s` it does, as the oldest. An image dated ahead, by a builder with a wrong
 * clock, is placed by its arrival and uses up no place.
 */
export function findNewest(
  images: readonly Image[],
  ages: ReadonlyMap<string, Age>,
  context: Context
): Newest {
  const groups = new Map<string, Map<string, Place>>()
  for (const image of images) {
    const rules = context.rules.ofImage(image)
    for (const reference of decidingReferences(image)) {
      const rule = rules.get(reference)
      const place = placeOf(image, ages.get(image.id), rule, context)
      if (place === undefined) continue
      const key = keyOf(reference, rule)
      const group = groups.get(key)
      if (group === undefined) groups.set(key, new Map([[image.id, place]]))
      else group.set(image.id, place)
    }
  }
  const newest = new Map(
    [...groups].map(([key, group]) => [key, firstPlaces([...group.values()])])
  )
  return (id, reference, rule) =>
    newest.get(keyOf(reference, rule))?.has(id) ?? false
}

function keyOf(reference: string, rule: Rule | undefined): string {
  return `${rule?.line ?? 0} ${repositoryOf(reference)}`
}

/** The dates that place an image: its build, else its tag, else its arrival. */
type Place = {
  id: string
  date: number
  arrival: number
  ahead: boolean
  keepLast: number
}

function placeOf(
  { id, createdAt, taggedAt }: Image,
  age: Age = 'unknown',
  rule: Rule | undefined,
  context: Context
): Place | undefined {
  const { now } = context
  const limits = limitsUnder(rule, context)
  const idle = idleTime(age, limits)
  if (rule?.keep || (idle === undefined && limits.until > 0)) return undefined
  const arrival = idle === undefined ? 0 : now - idle
  return {
    id,
    arrival,
    date: plausible(createdAt, now) ?? plausible(taggedAt, now) ?? arrival,
    ahead: isAhead(createdAt, now),
    keepLast: limits.keepLast
  }
}

function firstPlaces(places: readonly Place[]): Set<string> {
  const [first] = places
  let left = first?.keepLast ?? 0
  const newest = places
    // The ID makes the order the same every time.
    .toSorted(
      (a, b) =>
        b.date - a.date || b.arrival - a.arrival || compareText(a.id, b.id)
    )
    .filter(({ ahead }) => {
      const stays = left > 0
      if (stays && !ahead) left -= 1
      return stays
    })
  return new Set(newest.map(({ id }) => id))
}
