import { z } from 'zod'
import type {
  Container,
  Engine,
  Image,
  Inventory,
  Network,
  Volume
} from '../policy/inventory.ts'
import { listBuildCache } from './buildCache.ts'
import { readEventLog } from './events.ts'
import { connectionError, DockerError, succeed, type Docker } from './cli.ts'
import { inspect, type Inspected } from './inspect.ts'
import {
  containerSchema,
  contextSchema,
  imageSchema,
  infoSchema,
  listedContainerSchema,
  listedImageSchema,
  networkSchema,
  readJson,
  readJsonLines,
  readSize,
  volumeSchema
} from './schemas.ts'

/** How the containerd image store names itself in `docker info`. */
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
 * Lists all that the engine holds; the listings run side by side. The build cache is asked for only with the `builder`
 * that is the engine's own (see `findContext`): that can be costly, so it has a time limit, after which it is left out.
 */
export async function lookAtAll(
  docker: Docker,
  engine: Engine,
  builder: string | undefined
): Promise<Inventory> {
  const [containers, images, networks, volumes, events, records] =
    await Promise.all([
      listContainers(docker),
      listImages(docker, engine),
      listNetworks(docker),
      listVolumes(docker),
      readEventLog(docker, engine),
      builder === undefined ? [] : listBuildCache(docker, engine, builder)
    ])
  const unreadable = Object.entries({
    image: images.unreadable,
    network: networks.unreadable,
    volume: volumes.unreadable
  }).flatMap(([kind, names]) => names.map((name) => `${kind} ${name}`))
  return {
    engine,
    containers,
    images: images.found,
    networks: networks.found,
    volumes: volumes.found,
    buildCache: { records },
    events,
    ledger: undefined,
    remembers: false,
    unreadable
  }
}

/** Lists IDs or names: as JSON, so that nothing else that is printed passes for one. */
async function listIds(
  docker: Docker,
  args: readonly string[]
): Promise<string[]> {
  const command = args.slice(0, 2).join(' ')
  const { stdout } = succeed(await docker(args), command)
  return [...new Set(readJsonLines(stdout, z.string().min(1), command))]
}

const listAllContainers = ['container', 'ls', '--all', '--no-trunc'] as const

/** All containers, in every state. `ls` prints only IDs: with all it knows it would have the engine measure each. */
export async function listContainers(docker: Docker): Promise<Container[]> {
  const ids = await listIds(docker, [
    ...listAllContainers,
    '--format',
    '{{json .ID}}'
  ])
  const inspected = await inspect(docker, 'container', ids, containerSchema)
  const others = await Promise.all(
    inspected.unreadable.map((id) => readFromListing(docker, id))
  )
  return [...inspected.found.map(readContainer), ...others.flat()]
}

/**
 * What the listing tells of a container that cannot be inspected (one that is being removed may be so for days). It
 * is in no state that may be removed, and what it needs stays.
 */
async function readFromListing(
  docker: Docker,
  id: string
): Promise<Container[]> {
  const fields = ['Names', 'State', 'Image', 'Networks', 'Mounts']
  const format = `[${fields.map((field) => `{{json .${field}}}`).join(',')}]`
  const args = [
    ...listAllContainers,
    '--filter',
    `id=${id}`,
    '--format',
    format
  ]
  const { stdout } = succeed(await docker(args), 'container ls')
  return readJsonLines(stdout, listedContainerSchema, 'container ls').map(
    ([names, state, image, networks, mounts]) => ({
      id,
      name: names || id,
      state: `${state}, and cannot be inspected`,
      createdAt: undefined,
      startedAt: undefined,
      finishedAt: undefined,
      labels: {},
      image,
      imageReference: image,
      mountedImages: mounts.split(','),
      networks: networks.split(','),
      volumes: mounts.split(','),
      binds: mounts.split(','),
      joins: []
    })
  )
}

function readContainer(raw: z.output<typeof containerSchema>): Container {
  const { State: state, Config: config, HostConfig: host } = raw
  const networks = raw.NetworkSettings?.Networks ?? []
  // Of a mount without a type nobody knows what it holds.
  const named = (type: string) =>
    raw.Mounts.filter(({ Type }) => Type === type || Type === '')
  const asked = (host?.Mounts ?? []).filter(
    ({ Type }) => Type === 'image' || Type === ''
  )
  const joined = [host?.NetworkMode, host?.IpcMode, host?.PidMode].flatMap(
    (mode) => /^container:(.+)/.exec(mode ?? '')?.[1] ?? []
  )
  // A link is written "/target:/me/alias".
  const linked = (host?.Links ?? []).flatMap(
    (link) => /^\/?([^:]+)/.exec(link)?.[1] ?? []
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
      ...asked.map(({ Source }) => Source)
    ],
    networks: networks.flatMap(({ name, id }) => [name, id]).filter(Boolean),
    volumes: named('volume').map(({ Name }) => Name),
    binds: named('bind').map(({ Source }) => Source),
    joins: [...joined, ...linked]
  }
}

async function listImages(
  docker: Docker,
  engine: Engine
): Promise<Inspected<Image>> {
  const args = ['image', 'ls', '--all', '--no-trunc', '--format', '{{json .}}']
  const { stdout } = succeed(await docker(args), 'image ls')
  const listed = readJsonLines(stdout, listedImageSchema, 'image ls')
  const sizes = new Map(listed.map(({ ID, Size }) => [ID, readSize(Size)]))
  const images = await inspectImages(docker, engine, [...sizes.keys()])
  if (engine.store !== 'containerd') return images
  // There, inspect counts the packed layers alone, and the listing the unpacked ones as well.
  const found = images.found.map((image) => ({
    ...image,
    bytes: sizes.get(image.id) ?? image.bytes
  }))
  return { ...images, found }
}

/** Inspects images by ID or reference. */
export async function inspectImages(
  docker: Docker,
  engine: Engine,
  names: readonly string[]
): Promise<Inspected<Image>> {
  const inspected = await inspect(docker, 'image', names, imageSchema)
  const found = inspected.found.map((raw) => readImage(raw, engine))
  return { ...inspected, found }
}

function readImage(raw: z.output<typeof imageSchema>, engine: Engine): Image {
  const real = (reference: string) => !reference.includes('<none>')
  const tags = raw.RepoTags.filter(real)
  const digests = raw.RepoDigests.filter(real)
  // The containerd store makes up digests from the tags; one that stands alone it lists among the tags.
  const madeUp = engine.store === 'containerd'
  return {
    id: raw.Id,
    references: [...new Set(madeUp ? tags : [...tags, ...digests])],
    digests,
    parent: raw.Parent || undefined,
    createdAt: raw.Created,
    taggedAt: raw.Metadata?.LastTagTime,
    labels: raw.Config?.Labels ?? {},
    bytes: raw.Size,
    layers: raw.RootFS?.Layers ?? [],
    pulled: !madeUp && digests.length > 0,
    byBuildKit: raw.Comment.startsWith('buildkit')
  }
}

async function listNetworks(docker: Docker): Promise<Inspected<Network>> {
  const args = ['network', 'ls', '--no-trunc', '--format', '{{json .ID}}']
  return inspectNetworks(docker, await listIds(docker, args))
}

/** Inspects networks by ID. */
export async function inspectNetworks(
  docker: Docker,
  ids: readonly string[]
): Promise<Inspected<Network>> {
  const inspected = await inspect(docker, 'network', ids, networkSchema)
  const found = inspected.found.map((raw) => ({
    id: raw.Id,
    name: raw.Name,
    scope: raw.Scope,
    createdAt: raw.Created,
    labels: raw.Labels,
    ingress: raw.Ingress,
    configFrom: raw.ConfigFrom?.Network || undefined,
    containers: raw.Containers
  }))
  return { ...inspected, found }
}

async function listVolumes(docker: Docker): Promise<Inspected<Volume>> {
  const args = ['volume', 'ls', '--format', '{{json .Name}}']
  return inspectVolumes(docker, await listIds(docker, args))
}

/** Inspects volumes by name. */
export async function inspectVolumes(
  docker: Docker,
  names: readonly string[]
): Promise<Inspected<Volume>> {
  const inspected = await inspect(docker, 'volume', names, volumeSchema)
  const found = inspected.found.map((raw) => ({
    name: raw.Name,
    driver: raw.Driver,
    createdAt: raw.CreatedAt,
    labels: raw.Labels,
    options: raw.Options,
    mountpoint: raw.Mountpoint
  }))
  return { ...inspected, found }
}

/** The CLI's context: its name, which is that of the engine's own builder as well, and where it sends its calls. */
export type Context = { name: string; endpoint: string }

/** Reads the context that the CLI uses. Reaches no engine. */
export async function findContext(docker: Docker): Promise<Context> {
  const output = await docker(['context', 'inspect'])
  const [context] =
    output.exitCode === 0
      ? readJson(output.stdout, contextSchema, 'context inspect')
      : []
  return {
    name: context?.Name || 'default',
    endpoint: context?.Endpoints?.docker?.Host ?? ''
  }
}
