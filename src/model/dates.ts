/** Builders that want the same bits every time write 1970-01-01 or 1980-01-01 (or nothing): no date at all. */
const earliestPlausible = Date.UTC(1980, 0, 3)

/** Clocks of builders and engines differ by less. */
const tolerance = 5 * 60_000

/** Docker writes year 1 for "never", and build tools years that mean "none". */
export function happened(instant: number | undefined): number | undefined {
  return instant !== undefined && instant >= earliestPlausible
    ? instant
    : undefined
}

/** The instant, where it is a date at all: neither "none" nor later than the engine's clock. */
export function plausible(
  instant: number | undefined,
  now: number
): number | undefined {
  return isAhead(instant, now) ? undefined : happened(instant)
}

/** Whether an instant is later than the engine's clock, and than what clocks differ by. */
export function isAhead(instant: number | undefined, now: number): boolean {
  return instant !== undefined && instant > now + tolerance
}
