import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { execa } from 'execa'
import { pack, type Pack } from 'tar-stream'
import { createApi } from './api.ts'
import type { ThrowawayEngine } from './engine.ts'
import { exists, unpackPackages } from './packages.ts'

/** Calls a throw-away engine's CLI and returns what it printed; throws where it failed. */
export type Cli = (...args: string[]) => Promise<string>

export function createCli(
  engine: Pick<ThrowawayEngine, 'docker' | 'host'>,
  env: Record<string, string> = {}
): Cli {
  return async (...args) => {
    const { stdout } = await execa(engine.docker, args, {
      env: { DOCKER_HOST: engine.host, ...env }
    })
    return stdout
  }
}

/** An image that no registry has to be asked for. */
export type ImageFixture = {
  references: string[]
  /** RFC 3339; none is written without it. */
  created?: string
  labels?: Record<string, string>
  /** Layers from the lowest up; the same name and size make the same layer. */
  layers: { name: string; bytes: number }[]
}

/** Loads images that are written for the purpose: `docker load` takes any date, labels and layers. */
export async function loadImages(
  engine: Pick<ThrowawayEngine, 'host'>,
  images: readonly ImageFixture[]
): Promise<void> {
  const archive = pack()
  const files = new Set<string>()
  const manifest = []
  for (const { references, created, labels = {}, layers } of images) {
    const built = await Promise.all(layers.map(makeLayer))
    for (const { id, content } of built)
      addFile(archive, files, `${id}.tar`, content)
    const config = JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      ...(created && { created }),
      config: { Labels: labels },
      rootfs: {
        type: 'layers',
        diff_ids: built.map(({ id }) => `sha256:${id}`)
      },
      history: layers.map(({ name }) => ({
        ...(created && { created }),
        created_by: `COPY ${name} /`
      }))
    })
    const id = digest(config)
    addFile(archive, files, `${id}.json`, config)
    manifest.push({
      Config: `${id}.json`,
      RepoTags: references,
      Layers: built.map(({ id }) => `${id}.tar`)
    })
  }
  addFile(archive, files, 'manifest.json', JSON.stringify(manifest))
  archive.finalize()
  await send(engine, '/images/load?quiet=1', archive)
}

function addFile(
  archive: Pack,
  files: Set<string>,
  name: string,
  content: string | Buffer
): void {
  if (files.has(name)) return
  files.add(name)
  archive.entry({ name }, content)
}

const layersMade = new Map<string, Promise<{ id: string; content: Buffer }>>()

/** A layer with one file of random bytes: it does not shrink when it is packed. */
function makeLayer({ name, bytes }: { name: string; bytes: number }) {
  const key = `${name} ${bytes}`
  const known = layersMade.get(key)
  if (known !== undefined) return known
  const made = (async () => {
    const layer = pack()
    layer.entry({ name, mtime: new Date(0) }, randomBytes(bytes))
    layer.finalize()
    const content = await buffer(layer)
    return { id: digest(content), content }
  })()
  layersMade.set(key, made)
  return made
}

function digest(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}

/** Imports an image with a shell, `busybox:1`, for containers to run. */
export async function importBusybox(
  engine: Pick<ThrowawayEngine, 'host'>
): Promise<void> {
  const archive = pack()
  archive.entry(
    { name: 'bin/busybox', mode: 0o755 },
    await readFile(await findBusybox())
  )
  for (const name of ['sh', 'sleep', 'cat', 'echo', 'dd', 'true'])
    archive.entry({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox' })
  archive.finalize()
  const query = new URLSearchParams({
    ...{ fromSrc: '-', repo: 'busybox:1', changes: 'CMD ["sh"]' }
  })
  await send(engine, `/images/create?${query}`, archive)
}

async function send(
  { host }: Pick<ThrowawayEngine, 'host'>,
  path: string,
  archive: Pack
): Promise<void> {
  const api = createApi(host)
  try {
    await api.post(path, await buffer(archive))
  } finally {
    api.close()
  }
}

async function findBusybox(): Promise<string> {
  const systems = ['/bin/busybox', '/usr/bin/busybox', '/sbin/busybox']
  if (await exists('/usr/bin/dpkg')) {
    const root = await unpackPackages(['busybox-static'])
    systems.unshift(`${root}/bin/busybox`, `${root}/usr/bin/busybox`)
  }
  for (const path of systems) if (await exists(path)) return path
  throw new Error('A statically linked busybox is needed for the containers.')
}
