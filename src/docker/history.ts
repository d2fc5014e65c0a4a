import type { Docker } from './cli.ts'
import { succeed } from './errors.ts'
import { asJson, readJsonLines } from './json.ts'
import { historySchema } from './schemas.ts'

/** An instruction of a build, and the bytes that it added. */
export type HistoryEntry = { createdBy: string; bytes: number }

/** The history of an image, the newest entry first; `limit` in milliseconds. */
export async function readHistory(
  docker: Docker,
  id: string,
  limit: number
): Promise<HistoryEntry[]> {
  const options = ['--no-trunc', '--human=false', ...asJson]
  const { stdout } = succeed(
    await docker(['image', 'history', ...options, id], { limit }),
    'image history'
  )
  return readJsonLines(stdout, historySchema, 'image history').map(
    ({ CreatedBy, Size }) => ({ createdBy: CreatedBy, bytes: Size })
  )
}

/**
 * The sizes of the layers of an image, the lowest first, from its history, which also has entries without a layer.
 * Undefined if the entries do not match the number of layers.
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

/** Instructions that make even an empty layer, as BuildKit and the classic builder write them. */
function makesLayer(createdBy: string): boolean {
  return (
    /^(?:RUN|COPY|ADD|WORKDIR)\b|#\(nop\) +(?:COPY|ADD|WORKDIR)\b/.test(
      createdBy
    ) || /^\/bin\/sh -c (?!#\(nop\))/.test(createdBy)
  )
}
