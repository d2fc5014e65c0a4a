import pLimit from 'p-limit'
import type { z } from 'zod'
import type { Engine, Image, Written } from '../model/inventory.ts'
import { sum } from '../units.ts'
import type { Docker } from './cli.ts'
import { optional, succeed } from './errors.ts'
import { layerSizesOf, readHistory } from './history.ts'
import { inspect } from './inspect.ts'
import { readJson, readSize } from './json.ts'
import { containerSizeSchema, diskUsageSchema } from './schemas.ts'
import { traitsOf } from './traits.ts'

type DiskUsage = z.output<typeof diskUsageSchema>

type Measured = {
  /** Bytes of each layer, the lowest first. */
  layers: Map<string, number[]>
  /** Bytes of the packed layers, where the store also unpacks them. */
  packed: Map<string, number>
}

/** Milliseconds for a figure that is costly to measure and may be left out. */
export const costlyLimit = 20_000

const historiesAtOnce = 8

/** Leaves out the containers, which come with all their labels (F41). */
const diskUsageFormat =
  '{"Volumes":{{json .Volumes}},"BuildCache":{{json .BuildCache}}}'

/** The bytes that containers have written, by ID. The engine walks through their files. */
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

/** The bytes of volumes, by name; empty if the engine is too slow. */
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

/** Reads `system df`, for which the engine walks through every volume; undefined if that takes too long. */
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

/** Measures the layers of images by their histories; of as many images as time allows. */
export async function measureLayers(
  docker: Docker,
  engine: Engine,
  images: readonly Image[]
): Promise<Measured> {
  const { packedLayers } = traitsOf(engine)
  const end = Date.now() + costlyLimit
  const measured: Measured = { layers: new Map(), packed: new Map() }
  // Only a few at once: the limit of a call is set before it waits in the queue.
  await pLimit(historiesAtOnce).map(images, async (image) => {
    const { id, bytes } = image
    const left = end - Date.now()
    if (left <= 0) return
    const history = await optional(readHistory(docker, id, left))
    if (history === undefined) return
    const unpacked = sum(history.map((entry) => entry.bytes))
    const sizes = layerSizesOf(history, image.layers.length)
    // The history has only the unpacked sizes; the packed ones are assumed to be in proportion.
    const scale = packedLayers && unpacked > 0 ? bytes / unpacked : 1
    if (sizes !== undefined)
      measured.layers.set(
        id,
        sizes.map((size) => Math.round(size * scale))
      )
    // The top layer shows whether this image is unpacked: other images may have unpacked the lower ones.
    if (packedLayers && (sizes?.at(-1) ?? 0) > 0)
      measured.packed.set(id, Math.max(bytes - unpacked, 0))
  })
  return measured
}
