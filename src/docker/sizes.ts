import pLimit from 'p-limit'
import type { z } from 'zod'
import type { Docker } from './cli.ts'
import { optional, succeed } from './errors.ts'
import { type HistoryEntry, layerSizesOf } from './history.ts'
import { inspect } from './inspect.ts'
import { readJson, readJsonLines, readSize } from './json.ts'
import {
  containerSizeSchema,
  diskUsageSchema,
  historySchema
} from './schemas.ts'
import { traitsOf } from './traits.ts'
import type { Engine, Image, Written } from '../model/inventory.ts'
import { sum } from '../units.ts'

/** Milliseconds for a figure that costs the engine much, and that can be left out. */
export const costlyLimit = 20_000

/** Measures what containers have written, by ID; costs the engine a walk through their files. */
export async function measureContainers(
  docker: Docker,
  ids: readonly string[]
): Promise<Map<string, Written>> {
  const options = { flags: ['--size'], limit: costlyLimit }
  const { found } = await inspect(
    docker,
    'container',
    ids,
    containerSizeSchema,
    options
  )
  const measured = found.filter(({ SizeRw }) => SizeRw >= 0)
  return new Map(
    measured.map(({ Id, SizeRw, LogPath, HostConfig }) => [
      Id,
      {
        bytes: SizeRw,
        logPath: LogPath,
        logDriver: HostConfig?.LogConfig?.Type ?? ''
      }
    ])
  )
}

/** What volumes hold, in bytes by name, as far as the engine tells in time. */
export async function measureVolumes(
  docker: Docker
): Promise<Map<string, number>> {
  const usage = await readDiskUsage(docker)
  return new Map(
    usage?.Volumes.flatMap(({ Name, Size }) => {
      const bytes = readSize(Size)
      return bytes === undefined ? [] : [[Name, bytes] as const]
    })
  )
}

const sideBySide = 8

type DiskUsage = z.output<typeof diskUsageSchema>

/** Not the containers, which come with all their labels (F41). */
const diskUsageFormat =
  '{"Volumes":{{json .Volumes}},"BuildCache":{{json .BuildCache}}}'

/** What `system df` measures, or undefined where the engine is too slow: it walks through every volume. */
export function readDiskUsage(docker: Docker): Promise<DiskUsage | undefined> {
  const args = ['system', 'df', '--verbose', '--format', diskUsageFormat]
  return optional(
    docker(args, { limit: costlyLimit }).then((output) =>
      readJson(
        succeed(output, 'system df').stdout,
        diskUsageSchema,
        'system df'
      )
    )
  )
}

/** What the histories of some images say, in bytes by the image's ID. */
export type Measured = {
  /** The sizes of the layers, the lowest first. */
  layers: Map<string, number[]>
  /** How much of an image is packed layers, where the store has them and it is unpacked as well. */
  packed: Map<string, number>
}

/** Reads the histories of some images; of as many as the engine tells in time. */
export async function measureLayers(
  docker: Docker,
  engine: Engine,
  images: readonly Image[]
): Promise<Measured> {
  const { packedLayers } = traitsOf(engine)
  const end = Date.now() + costlyLimit
  const measured: Measured = { layers: new Map(), packed: new Map() }
  // Not all at once, or each would wait for its turn in the time that it has.
  await pLimit(sideBySide).map(images, async (image) => {
    if (Date.now() >= end) return
    const history = await optional(readHistory(docker, image, end))
    if (history === undefined) return
    const { id, bytes } = image
    const unpacked = sum(history.map((entry) => entry.bytes))
    const sizes = layerSizesOf(history, image.layers.length)
    // The history tells the unpacked layers alone: the packed ones are taken to be in the same proportion.
    const scale = packedLayers && unpacked > 0 ? bytes / unpacked : 1
    if (sizes !== undefined)
      measured.layers.set(
        id,
        sizes.map((size) => Math.round(size * scale))
      )
    // Of an image that is not unpacked, it may still have lower layers that others have unpacked.
    if (packedLayers && (sizes?.at(-1) ?? 0) > 0)
      measured.packed.set(id, Math.max(bytes - unpacked, 0))
  })
  return measured
}

async function readHistory(
  docker: Docker,
  { id }: Image,
  end: number
): Promise<HistoryEntry[]> {
  const options = ['--no-trunc', '--human=false', '--format', '{{json .}}']
  const limit = Math.max(end - Date.now(), 1)
  const { stdout } = succeed(
    await docker(['image', 'history', ...options, id], { limit }),
    'image history'
  )
  return readJsonLines(stdout, historySchema, 'image history').map(
    ({ CreatedBy, Size }) => ({ createdBy: CreatedBy, bytes: Size })
  )
}
