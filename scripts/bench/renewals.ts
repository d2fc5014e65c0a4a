/** An image tagged again, with the same name and ID, while images were being removed. */
export type Renewal = {
  name: string
  id: string
  /** The end of `docker tag`, in milliseconds since 1970. */
  endedAt: number
  lost: boolean
}

export type Judgement = { counted: number; lost: number; lostLate: number }

/** The format of `docker events` that `judge` reads. */
export const eventFormat = '{{.Action}} {{.Actor.ID}} {{.TimeNano}}'

/** Milliseconds after which a renewal must not be lost. */
const longestWindow = 50

/** Counts renewals by the engine's events. A tag that the engine made after it had deleted the image does not count. */
export function judge(renewals: readonly Renewal[], events: string): Judgement {
  const times = new Map(
    events.split('\n').map((line) => {
      const [action, id, nanoseconds] = line.split(' ')
      return [`${action} ${id}`, Number(nanoseconds) / 1_000_000]
    })
  )
  const taggedAt = (id: string) => times.get(`tag ${id}`) ?? 0
  const deletedAt = (id: string) => times.get(`delete ${id}`) ?? Infinity
  const lost = renewals.filter(({ lost }) => lost)
  const deletedLater = lost.filter(({ id }) => taggedAt(id) <= deletedAt(id))
  const late = deletedLater.filter(
    ({ id, endedAt }) => deletedAt(id) - endedAt > longestWindow
  )
  return {
    counted: renewals.length - lost.length + deletedLater.length,
    lost: deletedLater.length,
    lostLate: late.length
  }
}
