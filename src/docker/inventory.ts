import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { z } from 'zod'
import type {
  Container,
  Engine,
  Image,
  Inventory,
  Network,
  Unreadable,
  Volume
} from '../model/inventory.ts'
import { plausible } from '../policy/age.ts'
import { isTag } from '../model/patterns.ts'
import type { ImageFacts } from '../state/imageFacts.ts'
import { listBuildCache } from './buildCache.ts'
import { readEventLog } from './events.ts'
import {
  connectionError,
  countForOneCall,
  DockerError,
  succeed,
  type Docker
} from './cli.ts'
import { inspect, type Inspectable, type Inspected } from './inspect.ts'
import { imageLs, listIds, printListing, readIds } from './listing.ts'
import { readNeeds } from './needs.ts'
import {
  imageId,
  isPodman,
  markPods,
  podmanAliases,
  podmanReferences,
  takesParents
} from './podman.ts'
import { listServices } from './services.ts'
import { traitsOf } from './traits.ts'
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
  versionSchema,
  volumeSchema
} from './schemas.ts'

/** How the containerd image store names itself in `docker info`. */
const containerdDriver = 'io.containerd.snapshotter.v1'

/** Asks who the engine is. Throws a DockerError that says what to do where none answers. */
export async function lookAtEngine(
  docker: Docker,
  env: Record<string, string | undefined>
): Promise<Engine> {
  const ask = async (command: string) => {
    const args = [command, '--format', '{{json .}}']
    return succeed(await docker(args, { limit: 60_000 }), command).stdout
  }
  const [facts, parts] = await Promise.all([ask('info'), ask('version')])
  const info = readJson(facts, infoSchema, 'info')
  // Old CLIs exit with 0 here although no engine answered.
  const errors = info.ServerErrors.join('\n')
  if (errors !== '')
    throw connectionError(errors, env) ?? new DockerError('no-engine', errors)
  const containerd = info.DriverStatus.some(
    ([key, value]) => key === 'driver-type' && value === containerdDriver
  )
  const { Server: server } = readJson(parts, versionSchema, 'version')
  const version = info.ServerVersion
  const podman = isPodman(server?.Components ?? [])
  return {
    kind: podman ? 'podman' : 'docker',
    name: info.Name,
    id: info.ID,
    version,
    store: containerd ? 'containerd' : info.Driver,
    now: info.SystemTime ?? Date.now(),
    rootDir: info.DockerRootDir,
    kernel: info.KernelVersion,
    ...(info.Containerd?.Address && {
      containerdAddress: info.Containerd.Address
    }),
    takesParents: podman && takesParents(version),
    swarm: readSwarm(info.Swarm),
    logsBuilds: !podman && Number.parseInt(version, 10) >= 23
  }
}

function readSwarm(swarm: z.output<typeof infoSchema>['Swarm']) {
  const { LocalNodeState: state = '', ControlAvailable: manages } = swarm ?? {}
  if (['', 'inactive'].includes(state)) return 'none'
  return manages ? 'manager' : 'worker'
}

/**
 * Lists all that the engine holds; the listings run side by side. The build cache is that of the engine's own `builder`
 * (see `findContext`); it can be costly, so it has a time limit, after which it is left out. So have the volumes, in
 * milliseconds, where nobody needs them.
 */
export async function lookAtAll(
  docker: Docker,
  engine: Engine,
  builder: string,
  facts: ReadonlyMap<string, ImageFacts> = new Map(),
  limitOfVolumes?: number
): Promise<Inventory> {
  // What may take long begins first.
  const [images, records, containers, services, networks, volumes, events] =
    await Promise.all([
      listImages(docker, engine, facts),
      // Podman has none but the untagged parents of images.
      traitsOf(engine).buildCache
        ? listBuildCache(docker, engine, builder)
        : [],
      listContainers(docker, engine),
      listServices(docker, engine),
      listNetworks(docker, engine),
      listVolumes(docker, limitOfVolumes),
      readEventLog(docker, engine)
    ])
  return {
    engine,
    containers,
    services,
    images: images.found,
    networks: networks.found,
    volumes: volumes?.found ?? [],
    ...(volumes === undefined && { withoutVolumes: true }),
    buildCache: { records },
    events,
    ledger: undefined,
    oldestJob: undefined,
    remembers: false,
    unreadable: [
      ...images.unreadable,
      ...networks.unreadable.map((id) => ({ kind: 'network' as const, id })),
      ...(volumes?.unreadable ?? []).map((id) => ({
        kind: 'volume' as const,
        id
      }))
    ]
  }
}

export const listAllContainers = [
  'container',
  'ls',
  '--all',
  '--no-trunc'
] as const

/** All containers, in every state. */
export async function listContainers(
  docker: Docker,
  engine: Engine
): Promise<Container[]> {
  const ids = await listIds(docker, listContainerIds)
  return inspectContainers(docker, engine, ids)
}

/**
 * All containers again, but for those that are `gone`: only those that came since the inventory and the `changing` ones
 * are asked for. Which image, volumes and other containers one needs is fixed when it is made; its networks and its
 * state are not.
 */
export async function listContainersAgain(
  docker: Docker,
  { engine, containers }: Inventory,
  {
    changing,
    gone
  }: { changing: (id: string) => boolean; gone: (id: string) => boolean }
): Promise<Container[]> {
  const known = containers.filter(({ id }) => !gone(id))
  const { ids, all } = await listContainerIdsAgain(docker, engine, known)
  const listed = new Set(ids)
  const left = known.filter(({ id }) => !all || listed.has(id))
  // Whether one is part of a pod, only all of them together tell.
  const asked = left.filter(
    ({ id }) => engine.kind === 'podman' || changing(id)
  )
  const same = left.filter((one) => !asked.includes(one))
  for (const { id } of same) listed.delete(id)
  const found = await inspectContainers(docker, engine, [
    ...new Set([...listed, ...asked.map(({ id }) => id)])
  ])
  return [...same, ...found]
}

/** `ls` prints only IDs: with all it knows it would have the engine measure each. */
const listContainerIds = [
  ...listAllContainers,
  '--format',
  '{{json .ID}}'
] as const

/** Milliseconds from the date of a container to the moment from which on it is listed, at the most. */
const longestCreation = 5 * 60_000

/** The IDs of all containers; or only of those that have come since, where the listing takes long. */
async function listContainerIdsAgain(
  docker: Docker,
  engine: Engine,
  known: readonly Container[]
): Promise<{ ids: string[]; all: boolean }> {
  // One that was being made during the listing may be older than the newest that it showed.
  const settled = known.filter(
    ({ createdAt = 0 }) => createdAt <= engine.now - longestCreation
  )
  const age = ({ createdAt = 0 }: Container) => -createdAt
  const newest = settled.toSorted((a, b) => age(a) - age(b))[0]
  if (traitsOf(engine).findsImagesSlowly && newest !== undefined) {
    const args = [...listContainerIds, '--filter', `since=${newest.id}`]
    const { exitCode, stdout } = await docker(args)
    // It fails where that one is gone meanwhile.
    if (exitCode === 0) return { ids: readIds(stdout, args), all: false }
  }
  return { ids: await listIds(docker, listContainerIds), all: true }
}

async function inspectContainers(
  docker: Docker,
  { kind }: Engine,
  ids: readonly string[]
): Promise<Container[]> {
  const inspected = await inspectTwice(
    docker,
    'container',
    ids,
    containerSchema
  )
  const others = await Promise.all(
    inspected.unreadable.map((id) => readFromListing(docker, id))
  )
  const found = inspected.found.map(readContainer)
  return [...(kind === 'podman' ? markPods(found) : found), ...others.flat()]
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
      unreadable: true,
      state,
      createdAt: undefined,
      startedAt: undefined,
      finishedAt: undefined,
      restarts: 0,
      labels: {},
      image,
      imageReference: image,
      mountedImages: mounts.split(','),
      networks: networks.split(','),
      volumes: mounts.split(','),
      binds: mounts.split(','),
      joins: [],
      execs: undefined
    })
  )
}

function readContainer(raw: z.output<typeof containerSchema>): Container {
  const { State: state, Config: config } = raw
  return {
    id: raw.Id,
    name: raw.Name.replace(/^\//, '') || raw.Id,
    state: state?.Status ?? '',
    createdAt: raw.Created,
    startedAt: state?.StartedAt,
    finishedAt: state?.FinishedAt,
    restarts: raw.RestartCount,
    labels: config?.Labels ?? {},
    image: raw.Image,
    imageReference: config?.Image ?? '',
    ...readNeeds(raw),
    execs: raw.ExecIDs === null ? [] : raw.ExecIDs
  }
}

/**
 * All images. One that an earlier run was told of is not asked for again, where that takes long and the listing shows
 * the same references; but for one without a date, of which the moment of its tags is all that there is.
 */
async function listImages(
  docker: Docker,
  engine: Engine,
  facts: ReadonlyMap<string, ImageFacts>
): Promise<{ found: Image[]; unreadable: Unreadable[] }> {
  const { remembersImages } = traitsOf(engine)
  const options = remembersImages ? ['--all', '--digests'] : ['--all']
  const listed = readImageListing(
    await printListing(docker, [...imageLs, ...options, ...asJson])
  )
  const known = [...listed].flatMap(([id, lines]) => {
    const image = remembersImages ? facts.get(id)?.image : undefined
    const dated = plausible(image?.createdAt, engine.now) !== undefined
    return image && dated && isListed(image, lines, engine) ? [image] : []
  })
  const ids = new Set(known.map(({ id }) => id))
  const asked = [...listed.keys()].filter((id) => !ids.has(id))
  const { found, unreadable } = await inspectImages(docker, engine, asked)
  const sizeOf = (id: string) => readSize(listed.get(id)?.at(-1)?.Size ?? '')
  const sized = found.map((one) => withBytes(one, sizeOf(one.id), engine))
  return {
    found: [...known, ...sized],
    unreadable: unreadable.map((id) => {
      const { tags, digests } = namesInListing(listed.get(id) ?? [])
      const references = tags.length > 0 ? tags : digests
      return { kind: 'image', id, references: [...new Set(references)] }
    })
  }
}

type ListedImage = z.output<typeof listedImageSchema>

const asJson = ['--format', '{{json .}}']

/** The lines of a listing of images, by ID. */
function readImageListing(stdout: string): Map<string, ListedImage[]> {
  return Map.groupBy(
    readJsonLines(stdout, listedImageSchema, 'image ls'),
    ({ ID }) => ID
  )
}

/**
 * Those of some images that a listing of their tags shows as they were. An image that has got one more tag may be among
 * them: its removal by ID the engine refuses.
 */
export async function findUnchanged(
  docker: Docker,
  engine: Engine,
  images: readonly Image[]
): Promise<Image[]> {
  const filters = images.flatMap(({ references }) =>
    references
      .filter(isTag)
      .flatMap((reference) => ['--filter', `reference=${reference}`])
  )
  // What does not fit into one call is inspected.
  if (
    filters.length === 0 ||
    countForOneCall(filters, Infinity) < filters.length
  )
    return []
  const args = [...imageLs, '--digests', ...filters, ...asJson]
  const { exitCode, stdout } = await docker(args)
  // It fails where somebody removes one of them meanwhile.
  if (exitCode !== 0) return []
  const listed = readImageListing(stdout)
  return images.filter((image) =>
    isListed(image, listed.get(image.id) ?? [], engine)
  )
}

/**
 * Where layers are packed, the listing counts the unpacked ones as well. So does inspect from Docker 29 on; before, it
 * counts the packed ones alone, and says less than the listing of every image that is unpacked.
 */
function withBytes(
  image: Image,
  listed: number | undefined,
  engine: Engine
): Image {
  if (!traitsOf(engine).packedLayers) return image
  const { bytes } = image
  const more = listed !== undefined && listed > bytes && !isAbout(listed, bytes)
  return { ...image, bytes: more ? listed : bytes, packedBytes: bytes }
}

/** Whether a listing shows a size: it rounds to three digits. */
function isAbout(listed: number | undefined, bytes: number): boolean {
  return listed !== undefined && Math.abs(listed - bytes) <= bytes / 100
}

/**
 * Tells whether the listing shows an image as it was: with the same tags and digests. Where it does not show every
 * digest, it shows no other one, and the same size, which depends on what is unpacked; what is wrong for all that, the
 * second look finds.
 */
function isListed(
  { references, digests, bytes }: Image,
  lines: readonly ListedImage[],
  engine: Engine
): boolean {
  const { tags, digests: shown } = namesInListing(lines)
  const tagged = references.filter(isTag)
  const sameTags = isDeepStrictEqual(new Set(tags), new Set(tagged))
  const known = new Set(digests)
  const { digestsAreFromRegistries, packedLayers } = traitsOf(engine)
  return (
    lines.length > 0 &&
    sameTags &&
    (digestsAreFromRegistries
      ? isDeepStrictEqual(known, new Set(shown))
      : shown.every((one) => known.has(one))) &&
    (!packedLayers || lines.every(({ Size }) => isAbout(readSize(Size), bytes)))
  )
}

/** The tags of an image by its lines of a listing, and the digests, where that shows them. */
function namesInListing(lines: readonly ListedImage[]) {
  const named = lines.filter(({ Repository }) => Repository !== none)
  return {
    tags: named
      .filter(({ Tag }) => Tag !== none)
      .map(({ Repository, Tag }) => `${Repository}:${Tag}`),
    digests: named
      .filter(({ Digest }) => Digest !== '' && Digest !== none)
      .map(({ Repository, Digest }) => `${Repository}@${Digest}`)
  }
}

const none = '<none>'

/** The inventory with what the engine tells now of some of its images. */
export async function askAgain(
  docker: Docker,
  inventory: Inventory,
  images: readonly Image[]
): Promise<Inventory> {
  const { engine } = inventory
  const asked = new Map(images.map((image) => [image.id, image]))
  const { found, unreadable } = await inspectImages(docker, engine, [
    ...asked.keys()
  ])
  const others = inventory.images.filter(({ id }) => !asked.has(id))
  return {
    ...inventory,
    images: [
      ...others,
      ...found.map((one) => {
        const { bytes, packedBytes } = asked.get(one.id) ?? {}
        const sized = withBytes(one, bytes, engine)
        return packedBytes === undefined ? sized : { ...sized, packedBytes }
      })
    ],
    unreadable: [
      ...inventory.unreadable,
      ...unreadable.map((id) => ({
        kind: 'image' as const,
        id,
        references: asked.get(id)?.references ?? []
      }))
    ]
  }
}

/** Milliseconds in which what is just being removed is gone, and what is just ending has ended. */
const changeTime = 500

/** Inspects things; those that the engine cannot tell of once more, a moment later. */
async function inspectTwice<T>(
  docker: Docker,
  type: Inspectable,
  names: readonly string[],
  schema: z.ZodType<T & { Id?: string; Name?: string }>
): Promise<Inspected<T>> {
  const first = await inspect(docker, type, names, schema)
  if (first.unreadable.length > 0) await sleep(changeTime)
  const second = await inspect(docker, type, first.unreadable, schema)
  return {
    found: [...first.found, ...second.found],
    unreadable: second.unreadable
  }
}

/**
 * Inspects images by ID or reference. One that is damaged has no root filesystem (the containerd store leaves out
 * what it finds no blob of): its labels are not absent, but unknown.
 */
export async function inspectImages(
  docker: Docker,
  engine: Engine,
  names: readonly string[]
): Promise<Inspected<Image>> {
  const inspected = await inspectTwice(docker, 'image', names, imageSchema)
  const isWhole = ({ RootFS }: z.output<typeof imageSchema>) => RootFS?.Type
  const whole = inspected.found.filter(isWhole)
  const damaged = inspected.found.filter((raw) => !isWhole(raw))
  return {
    found: whole.map((raw) => readImage(raw, engine)),
    unreadable: [...inspected.unreadable, ...damaged.map(({ Id }) => Id)]
  }
}

function readImage(raw: z.output<typeof imageSchema>, engine: Engine): Image {
  const real = (reference: string) => !reference.includes('<none>')
  const tags = raw.RepoTags.filter(real)
  const digests = raw.RepoDigests.filter(real)
  const { digestsAreFromRegistries } = traitsOf(engine)
  const tagged = raw.Metadata?.LastTagTime
  const podman = engine.kind === 'podman'
  const references = podman
    ? podmanReferences(tags, digests)
    : digestsAreFromRegistries
      ? [...tags, ...digests]
      : // A digest that stands alone is listed among the tags there.
        tags
  return {
    id: raw.Id,
    references: [...new Set(references)],
    digests,
    aliases: podman ? podmanAliases(references) : [],
    parent: imageId(raw.Parent) || undefined,
    createdAt: raw.Created,
    // With SOURCE_DATE_EPOCH, BuildKit writes the date of the build there, too, on the containerd store.
    taggedAt: tagged === raw.Created ? undefined : tagged,
    labels: raw.Config?.Labels ?? {},
    bytes: raw.Size,
    layers: raw.RootFS?.Layers ?? [],
    pulled: podman || (digestsAreFromRegistries && digests.length > 0),
    byBuildKit: raw.Comment.startsWith('buildkit')
  }
}

async function listNetworks(
  docker: Docker,
  engine: Engine
): Promise<Inspected<Network>> {
  const args = ['network', 'ls', '--no-trunc', '--format', '{{json .ID}}']
  return inspectNetworks(docker, engine, await listIds(docker, args))
}

/** Inspects networks by ID. */
export async function inspectNetworks(
  docker: Docker,
  { kind }: Engine,
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
    // Podman 4 lists stopped ones, too; it removes no network that any container has.
    containers: kind === 'podman' ? [] : raw.Containers
  }))
  return { ...inspected, found }
}

/** All volumes; undefined where that takes longer than `limit`: a volume plugin that is dead or hangs holds it (F44). */
async function listVolumes(
  docker: Docker,
  limit: number | undefined
): Promise<Inspected<Volume> | undefined> {
  const args = ['volume', 'ls', '--format', '{{json .Name}}']
  const options = limit === undefined ? {} : { limit }
  try {
    return await inspectVolumes(docker, await listIds(docker, args, options))
  } catch (error) {
    const late = error instanceof DockerError && error.kind === 'no-answer'
    if (late && limit !== undefined) return undefined
    throw error
  }
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
