import type { z } from 'zod'
import { layerSizesOf } from '../policy/bytes.ts'
import type {
  CacheRecord,
  Container,
  Engine,
  Image,
  Inventory,
  Network,
  Volume
} from '../policy/inventory.ts'
import { parseHumanAge, parseTime } from '../units.ts'
import { connectionError, DockerError, succeed, type Docker } from './cli.ts'
import {
  containerSchema,
  contextSchema,
  diskUsageSchema,
  historySchema,
  imageSchema,
  infoSchema,
  listedImageSchema,
  networkSchema,
  readJson,
  readJsonLines,
  readSize,
  volumeSchema
} from './schemas.ts'

/** What the removal has to know of a store: the few things in which they differ (see `isContainerd`). */
const containerdDriver = 'io.containerd.snapshotter.v1'

/** Asks who the engine is. Throws a DockerError that says what to do where none answers. */
export async function lookAtEngine(
  docker: Docker,
  env: Record<string, string | undefined>
): Promise<Engine> {
  const output = succeed(
    await docker(['info', '--format', '{{json .}}'], { limit: 60_000 }),
    'info'
  )
  const info = readJson(output.stdout, infoSchema, 'info')
  // Old CLIs exit with 0 here although no engine answered.
  const errors = info.ServerErrors.join('\n')
  if (errors !== '')
    throw connectionError(errors, env) ?? new DockerError('no-engine', errors)
  const containerd = info.DriverStatus.some(
    ([key, value]) => key === 'driver-type' && value === containerdDriver
  )
  return {
    name: info.Name,
    id: info.ID,
    version: info.ServerVersion,
    store: containerd ? 'containerd' : info.Driver,
    now: info.SystemTime ?? Date.now(),
    rootDir: info.DockerRootDir,
    kernel: info.KernelVersion
  }
}

/**
 * Lists all that the engine holds; the listings run side by side. The build cache is asked for only `withCache`:
 * that can be costly, and so has its own time limit, after which it is left out.
 */
export async function lookAtAll(
  docker: Docker,
  engine: Engine,
  withCache: boolean
): Promise<Inventory> {
  const [containers, images, networks, volumes, records] = await Promise.all([
    listContainers(docker),
    listImages(docker, engine),
    listNetworks(docker),
    listVolumes(docker),
    withCache ? listBuildCache(docker, engine) : []
  ])
  return {
    engine,
    containers,
    images,
    networks,
    volumes,
    buildCache: { records }
  }
}

/** As many IDs as stay far below the 32 KiB that a command line may have on Windows. */
const idsPerCall = 100

/**
 * Inspects things by name or ID. What has gone meanwhile is left out: the CLI prints the others and exits with 1.
 */
async function inspect<T>(
  docker: Docker,
  type: 'container' | 'image' | 'network' | 'volume',
  names: readonly string[],
  schema: z.ZodType<T>,
  { flags = [], limit }: { flags?: readonly string[]; limit?: number } = {}
): Promise<T[]> {
  const chunks: string[][] = []
  for (let start = 0; start < names.length; start += idsPerCall)
    chunks.push(names.slice(start, start + idsPerCall))
  const found = await Promise.all(
    chunks.map(async (chunk) => {
      const output = await docker(
        [type, 'inspect', ...flags, '--', ...chunk],
        limit === undefined ? {} : { limit }
      )
      if (output.exitCode !== 0 && !/no such|not found/i.test(output.stderr))
        succeed(output, `${type} inspect`)
      return readJson(output.stdout || '[]', schema.array(), `${type} inspect`)
    })
  )
  return found.flat()
}

async function listIds(
  docker: Docker,
  args: readonly string[]
): Promise<string[]> {
  const { stdout } = succeed(await docker(args), args.slice(0, 2).join(' '))
  return [...new Set(stdout.split('\n').filter(Boolean))]
}

/** All containers, in every state. `ls` prints only IDs: as JSON it would have the engine measure each of them. */
export async function listContainers(docker: Docker): Promise<Container[]> {
  const ids = await listIds(docker, [
    'container',
    'ls',
    '--all',
    '--quiet',
    '--no-trunc'
  ])
  const found = await inspect(docker, 'container', ids, containerSchema)
  return found.map(readContainer)
}

function readContainer(raw: z.infer<typeof containerSchema>): Container {
  const { State: state, Config: config, HostConfig: host } = raw
  const networks = Object.entries(raw.NetworkSettings?.Networks ?? {})
  const named = (type: string) => raw.Mounts.filter(({ Type }) => Type === type)
  const joined = [host?.NetworkMode, host?.IpcMode, host?.PidMode]
    .filter((mode) => mode?.startsWith('container:'))
    .map((mode) => mode?.slice('container:'.length) ?? '')
  // A link is written "/target:/me/alias".
  const linked = (host?.Links ?? []).map((link) =>
    (link.split(':')[0] ?? '').replace(/^\//, '')
  )
  return {
    id: raw.Id,
    name: raw.Name.replace(/^\//, '') || raw.Id,
    state: state?.Status ?? '',
    createdAt: raw.Created,
    startedAt: state?.StartedAt,
    finishedAt: state?.FinishedAt,
    labels: config?.Labels ?? {},
    image: raw.Image,
    imageReference: config?.Image ?? '',
    mountedImages: [
      ...named('image').map(({ Name }) => Name),
      ...(host?.Mounts ?? [])
        .filter(({ Type }) => Type === 'image')
        .map(({ Source }) => Source)
    ],
    networks: networks.flatMap(([name, network]) =>
      [name, network?.NetworkID ?? ''].filter(Boolean)
    ),
    volumes: named('volume').map(({ Name }) => Name),
    binds: named('bind').map(({ Source }) => Source),
    joins: [...joined, ...linked]
  }
}

/** What the containers have written, in bytes by ID; costs the engine a walk through their files. */
export async function measureContainers(
  docker: Docker,
  ids: readonly string[]
): Promise<Map<string, number>> {
  const found = await inspect(docker, 'container', ids, containerSchema, {
    flags: ['--size'],
    limit: costlyLimit
  })
  return new Map(found.map(({ Id, SizeRw }) => [Id, SizeRw ?? 0]))
}

async function listImages(docker: Docker, engine: Engine): Promise<Image[]> {
  const { stdout } = succeed(
    await docker([
      'image',
      'ls',
      '--all',
      '--no-trunc',
      '--format',
      '{{json .}}'
    ]),
    'image ls'
  )
  const listed = readJsonLines(stdout, listedImageSchema, 'image ls')
  const sizes = new Map(listed.map(({ ID, Size }) => [ID, readSize(Size)]))
  const images = await inspectImages(docker, engine, [...sizes.keys()])
  if (engine.store !== 'containerd') return images
  // There, inspect counts the packed layers alone, and the listing the unpacked ones as well.
  return images.map((image) => ({
    ...image,
    bytes: sizes.get(image.id) ?? image.bytes
  }))
}

/** Inspects images by ID or reference; those that are gone are left out. */
export async function inspectImages(
  docker: Docker,
  engine: Engine,
  names: readonly string[]
): Promise<Image[]> {
  const found = await inspect(docker, 'image', names, imageSchema)
  return found.map((raw) => readImage(raw, engine))
}

function readImage(raw: z.infer<typeof imageSchema>, engine: Engine): Image {
  const real = (reference: string) => !reference.includes('<none>')
  const tags = raw.RepoTags.filter(real)
  // The containerd store makes up digests from the tags; one that stands alone it lists among the tags.
  const digests =
    engine.store === 'containerd' ? [] : raw.RepoDigests.filter(real)
  return {
    id: raw.Id,
    references: [...new Set([...tags, ...digests])],
    parent: raw.Parent || undefined,
    createdAt: raw.Created,
    taggedAt: raw.Metadata?.LastTagTime,
    labels: raw.Config?.Labels ?? {},
    bytes: raw.Size,
    layers: raw.RootFS?.Layers ?? [],
    pulled: digests.length > 0,
    byBuildKit: raw.Comment.startsWith('buildkit')
  }
}

async function listNetworks(docker: Docker): Promise<Network[]> {
  const ids = await listIds(docker, ['network', 'ls', '--quiet', '--no-trunc'])
  const found = await inspect(docker, 'network', ids, networkSchema)
  return found.map((raw) => ({
    id: raw.Id,
    name: raw.Name,
    driver: raw.Driver,
    scope: raw.Scope,
    createdAt: raw.Created,
    labels: raw.Labels,
    ingress: raw.Ingress,
    configFrom: raw.ConfigFrom?.Network || undefined,
    containers: raw.Containers
  }))
}

async function listVolumes(docker: Docker): Promise<Volume[]> {
  return inspectVolumes(
    docker,
    await listIds(docker, ['volume', 'ls', '--quiet'])
  )
}

/** Inspects volumes by name; those that are gone are left out. */
export async function inspectVolumes(
  docker: Docker,
  names: readonly string[]
): Promise<Volume[]> {
  const found = await inspect(docker, 'volume', names, volumeSchema)
  return found.map((raw) => ({
    name: raw.Name,
    driver: raw.Driver,
    createdAt: raw.CreatedAt,
    labels: raw.Labels,
    options: raw.Options,
    mountpoint: raw.Mountpoint
  }))
}

/** Networks that still exist, by ID. */
export async function existingNetworks(
  docker: Docker,
  ids: readonly string[]
): Promise<Set<string>> {
  const found = await inspect(docker, 'network', ids, networkSchema)
  return new Set(found.map(({ Id }) => Id))
}

/** Milliseconds for a figure that costs the engine much, and that can be left out. */
const costlyLimit = 20_000

/** The environment for commands about the build cache: the engine's own builder, whichever is the current one. */
export const cacheEnvironment = { BUILDX_BUILDER: undefined }

/**
 * The records of the engine's own build cache, or undefined where it does not tell. buildx tells at no cost; without
 * it there is only `system df`, which also measures every volume, and so is not waited for long.
 */
async function listBuildCache(
  docker: Docker,
  engine: Engine
): Promise<CacheRecord[] | undefined> {
  const output = await docker(['builder', 'du', '--verbose'], {
    limit: costlyLimit,
    env: cacheEnvironment
  })
  if (output.exitCode === 0) return readCacheRecords(output.stdout)
  const usage = await readDiskUsage(docker)
  return usage?.BuildCache.map((record) => {
    const usedAt =
      readLogTime(record.LastUsedAt) ?? readLogTime(record.CreatedAt)
    const idle = usedAt === undefined ? 0 : Math.max(engine.now - usedAt, 0)
    return {
      id: record.ID,
      bytes: readSize(record.Size) ?? 0,
      idle: { least: idle, most: idle },
      inUse: record.InUse === 'true',
      shared: record.Shared === 'true',
      internal: isInternal(record.CacheType)
    }
  })
}

/** Reads `buildx du --verbose`: blocks of "Key: value" lines. Figures after the blocks are totals. */
export function readCacheRecords(text: string): CacheRecord[] {
  return text.split(/\n\s*\n/).flatMap((block) => {
    const fields = new Map(
      block.split('\n').map((line) => {
        const [key = '', ...value] = line.split(':')
        return [key.trim(), value.join(':').trim()]
      })
    )
    const id = fields.get('ID')
    if (id === undefined) return []
    const idle = parseHumanAge(fields.get('Last used') ?? '')
    return [
      {
        id,
        bytes: readSize(fields.get('Size') ?? '') ?? 0,
        idle: idle ?? { least: 0, most: Infinity },
        inUse: fields.get('Reclaimable') === 'false',
        shared: fields.get('Shared') === 'true',
        internal: isInternal(fields.get('Type') ?? '')
      }
    ]
  })
}

function isInternal(type: string): boolean {
  return type === 'internal' || type === 'frontend'
}

/** `2026-01-31 12:00:00.123456789 +0000 UTC`, as Go prints a time. */
function readLogTime(text: string): number | undefined {
  const [, date = '', time = '', zone = ''] =
    /^(\S+) (\S+) ([+-]\d{4})/.exec(text) ?? []
  return parseTime(`${date}T${time}${zone.slice(0, 3)}:${zone.slice(3)}`)
}

async function readDiskUsage(docker: Docker) {
  try {
    const { stdout } = succeed(
      await docker(['system', 'df', '--verbose', '--format', '{{json .}}'], {
        limit: costlyLimit
      }),
      'system df'
    )
    return readJson(stdout, diskUsageSchema, 'system df')
  } catch (error) {
    // A figure that is left out; everything else goes on.
    if (error instanceof DockerError && error.kind !== 'cancelled')
      return undefined
    throw error
  }
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

/** The sizes of the layers of some images, the lowest layer first, in bytes by the image's ID. */
export async function measureLayers(
  docker: Docker,
  engine: Engine,
  images: readonly Image[]
): Promise<Map<string, number[]>> {
  const measured = await Promise.all(
    images.map(async ({ id, layers, bytes }) => {
      const output = await docker([
        'image',
        'history',
        '--no-trunc',
        '--human=false',
        '--format',
        '{{json .}}',
        id
      ])
      if (output.exitCode !== 0) return []
      const entries = readJsonLines(
        output.stdout,
        historySchema,
        'image history'
      )
      const history = entries.map(({ CreatedBy, Size }) => ({
        createdBy: CreatedBy,
        bytes: Size
      }))
      const sizes = layerSizesOf(history, layers.length)
      if (sizes === undefined) return []
      if (engine.store !== 'containerd') return [[id, sizes] as const]
      // The history tells the unpacked layers alone there: the packed ones are taken to be in the same proportion.
      const unpacked = sizes.reduce((sum, size) => sum + size, 0)
      const scale = unpacked > 0 ? bytes / unpacked : 1
      return [[id, sizes.map((size) => Math.round(size * scale))] as const]
    })
  )
  return new Map(measured.flat())
}

/** Where the CLI sends its calls (`unix:///var/run/docker.sock`); empty where it does not tell. */
export async function findEndpoint(docker: Docker): Promise<string> {
  const output = await docker(['context', 'inspect'])
  if (output.exitCode !== 0) return ''
  const [context] = readJson(output.stdout, contextSchema, 'context inspect')
  return context?.Endpoints?.docker?.Host ?? ''
}
