/** One line of `image history`: what made it, and the bytes that it added. */
export type HistoryEntry = { createdBy: string; bytes: number }

/**
 * The sizes of an image's layers, the lowest first, from its history (the newest entry first), which has lines without
 * a layer too. Undefined where the two do not fit together.
 */
export function layerSizesOf(
  history: readonly HistoryEntry[],
  layers: number
): number[] | undefined {
  const withLayer = history.filter(
    ({ createdBy, bytes }) => bytes > 0 || makesLayer(createdBy)
  )
  const filled = history.filter(({ bytes }) => bytes > 0)
  const fitting = [withLayer, filled, history].find(
    ({ length }) => length === layers
  )
  return fitting?.map(({ bytes }) => bytes).reverse()
}

/** The instructions that make a layer even if it is empty, as BuildKit and as the classic builder write them. */
function makesLayer(createdBy: string): boolean {
  return (
    /^(?:RUN|COPY|ADD|WORKDIR)\b|#\(nop\) +(?:COPY|ADD|WORKDIR)\b/.test(
      createdBy
    ) || /^\/bin\/sh -c (?!#\(nop\))/.test(createdBy)
  )
}
