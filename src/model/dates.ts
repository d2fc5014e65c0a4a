/** How long, or since when, something must have been idle, in milliseconds. */
export type Until = { duration: number } | { time: number }

/** Reproducible builds write 1970-01-01 or 1980-01-01, which are no dates. */
const earliestPlausible = Date.UTC(1980, 0, 3)

/** Milliseconds by which the clocks of builders and engines may differ. */
const tolerance = 5 * 60_000

/** The instant, unless it stands for "never" (Docker's year 1) or "no date". */
export function happened(instant: number | undefined): number | undefined {
  return instant !== undefined && instant >= earliestPlausible
    ? instant
    : undefined
}

/** The instant, unless it is no date or later than the engine's clock. */
export function plausible(
  instant: number | undefined,
  now: number
): number | undefined {
  return isAhead(instant, now) ? undefined : happened(instant)
}

/** Whether an instant is later than the engine's clock, beyond what clocks differ by. */
export function isAhead(instant: number | undefined, now: number): boolean {
  return instant !== undefined && instant > now + tolerance
}
