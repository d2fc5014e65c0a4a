import { isAhead, plausible } from '../model/dates.ts'
import type { Image } from '../model/inventory.ts'
import { repositoryOf } from '../model/references.ts'
import { compareText } from '../words.ts'
import type { Context } from './context.ts'
import { ageOfImage } from './imageAge.ts'
import { idleTime } from './limits.ts'

/** The IDs of the newest images of each repository, by the repository: images count, not tags. */
export type Newest = ReadonlyMap<string, ReadonlySet<string>>

/**
 * Finds the newest `keep-last` images of each repository. An image of unknown age does not count, and stays for that
 * reason; with `until: 0s` it does, as the oldest. An image dated ahead, by a builder with a wrong clock, is placed by
 * its arrival and uses up no place.
 */
export function findNewest(images: readonly Image[], context: Context): Newest {
  const places = images
    .flatMap((image) => rank(image, context))
    // The ID makes the order the same every time.
    .sort(
      (a, b) =>
        b.date - a.date || b.arrival - a.arrival || compareText(a.id, b.id)
    )
    .flatMap(({ repositories, ...one }) =>
      repositories.map((repository) => ({ repository, ...one }))
    )
  return new Map(
    [...Map.groupBy(places, ({ repository }) => repository)].map(
      ([repository, members]) => {
        let left = context.limits.keepLast
        const newest = members.filter(({ ahead }) => {
          const stays = left > 0
          if (stays && !ahead) left -= 1
          return stays
        })
        return [repository, new Set(newest.map(({ id }) => id))]
      }
    )
  )
}

/** The dates that place an image: its build, else its tag, else its arrival. */
function rank(image: Image, context: Context) {
  const { limits, now } = context
  const { id, references, createdAt, taggedAt } = image
  const idle = idleTime(ageOfImage(image, context), limits)
  if (idle === undefined && limits.until > 0) return []
  const arrival = idle === undefined ? 0 : now - idle
  return [
    {
      id,
      repositories: [...new Set(references.map(repositoryOf))],
      arrival,
      date: plausible(createdAt, now) ?? plausible(taggedAt, now) ?? arrival,
      ahead: isAhead(createdAt, now)
    }
  ]
}
