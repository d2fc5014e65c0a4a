import type { Docker } from './cli.ts'
import { succeed } from './errors.ts'
import { asJson, readJsonLines } from './json.ts'
import { historySchema } from './schemas.ts'

type HistoryEntry = { createdBy: string; bytes: number }

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

/** Bytes of each layer, the lowest first; undefined if the history does not match the number of layers. */
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
