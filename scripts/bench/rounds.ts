import { formatTime, ordersOf, type Series } from './figures.ts'
import type { Options } from './options.ts'

/** A command or program to compare. */
export type Contender<Place> = {
  name: string
  /** Number of rounds to measure it in; default: all. */
  rounds?: number
  /** Returns milliseconds. */
  measure: (place: Place) => Promise<number>
}

/**
 * Measures every contender once per round.
 *
 * @param runRound prepares places to measure in, and calls `measure` for each contender in order
 */
export async function measureRounds<Place>(
  title: string,
  contenders: readonly Contender<Place>[],
  { rounds, only }: Pick<Options, 'rounds' | 'only'>,
  runRound: (
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
    await runRound(order, async (contender, place) => {
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
