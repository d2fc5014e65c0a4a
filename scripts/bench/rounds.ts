import { formatTime, ordersOf, type Series } from './figures.ts'
import type { Options } from './options.ts'

/** One of those that are measured side by side. */
export type Contender<Place> = {
  name: string
  /** In how many of the rounds it is measured, where not in all. */
  rounds?: number
  /** Returns milliseconds. */
  measure: (place: Place) => Promise<number>
}

/**
 * Measures every contender once in each round, each round beginning with another one. `place` sets the table for one
 * measurement, or keeps one for a round.
 */
export async function measureRounds<Place>(
  title: string,
  contenders: readonly Contender<Place>[],
  { rounds, only }: Pick<Options, 'rounds' | 'only'>,
  round: (
    order: Contender<Place>[],
    measure: (contender: Contender<Place>, place: Place) => Promise<void>
  ) => Promise<void>
): Promise<Series[]> {
  const chosen = contenders.filter(
    ({ name }) => only.length === 0 || only.some((text) => name.includes(text))
  )
  const times = new Map(chosen.map(({ name }) => [name, new Array<number>()]))
  for (const [index, all] of ordersOf(chosen, rounds).entries()) {
    const order = all.filter((one) => index < (one.rounds ?? rounds))
    const start = Date.now()
    await round(order, async (contender, place) => {
      const time = await contender.measure(place)
      times.get(contender.name)?.push(time)
      console.error(`${title}: ${contender.name}: ${formatTime(time)}`)
    })
    console.error(
      `${title}: round ${index + 1} of ${rounds} took ${formatTime(Date.now() - start)}`
    )
  }
  return [...times].map(([name, times]) => ({ name, times }))
}
