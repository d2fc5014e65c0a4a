import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { execa } from 'execa'
import { pack, type Pack } from 'tar-stream'
import type { ThrowawayEngine } from '../engines/engine.ts'
import type { ImageFixture } from '../fixtures/fixtures.ts'

type Layer = ImageFixture['layers'][number]

/** Loads images as large as real ones. Their layers are zeros, which are never in memory as a whole. */
export async function loadLargeImages(
  { docker, host }: Pick<ThrowawayEngine, 'docker' | 'host'>,
  images: readonly ImageFixture[]
): Promise<void> {
  const archive = pack()
  await Promise.all([
    execa(docker, ['image', 'load', '--quiet'], {
      input: Readable.from(archive),
      env: { DOCKER_HOST: host }
    }),
    fillArchive(archive, images)
  ])
}

async function fillArchive(
  archive: Pack,
  images: readonly ImageFixture[]
): Promise<void> {
  const ids = new Map<string, string>()
  for (const layer of images.flatMap(({ layers }) => layers)) {
    if (ids.has(layer.name)) continue
    const id = await digest(makeLayer(layer))
    ids.set(layer.name, id)
    const entry = archive.entry({ name: `${id}.tar`, size: sizeOf(layer) })
    await pipeline(makeLayer(layer), entry)
  }
  const manifest = images.map(({ references, created, layers }, index) => {
    const diffs = layers.map(({ name }) => ids.get(name) ?? '')
    const config = {
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      ...{ os: 'linux', created, config: {} },
      rootfs: { type: 'layers', diff_ids: diffs.map((id) => `sha256:${id}`) },
      history: layers.map(({ name }) => ({
        ...{ created, created_by: `COPY ${name} /` }
      }))
    }
    archive.entry({ name: `${index}.json` }, JSON.stringify(config))
    return {
      Config: `${index}.json`,
      RepoTags: references,
      Layers: diffs.map((id) => `${id}.tar`)
    }
  })
  archive.entry({ name: 'manifest.json' }, JSON.stringify(manifest))
  archive.finalize()
}

function makeLayer({ name, bytes }: Layer): Pack {
  const layer = pack()
  const entry = layer.entry({ name, size: bytes, mtime: new Date(0) })
  pipeline(Readable.from(zeros(bytes)), entry).then(
    () => {
      layer.finalize()
    },
    (error: unknown) => {
      layer.destroy(new Error(String(error)))
    }
  )
  return layer
}

/** The size of a layer's archive: a header, whole blocks, and two empty ones. */
function sizeOf({ bytes }: Layer): number {
  return 512 * (Math.ceil(bytes / 512) + 3)
}

function* zeros(bytes: number): Generator<Buffer> {
  const chunk = Buffer.alloc(1_000_000)
  for (let left = bytes; left > 0; left -= chunk.length)
    yield chunk.subarray(0, left)
}

async function digest(content: Pack): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(content, hash)
  return hash.digest('hex')
}
