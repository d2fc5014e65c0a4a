import { isDeepStrictEqual } from 'node:util'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { readTotal } from '../../src/removal/buildCache.ts'
import type { Docker } from '../../src/docker/cli.ts'
import { DockerError, optional } from '../../src/docker/errors.ts'
import { readContext, readEngine } from '../../src/docker/engine.ts'
import { readInventory } from '../../src/docker/inventory.ts'
import {
  measureContainers,
  measureLayers,
  measureVolumes
} from '../../src/docker/sizes.ts'
import type { ImageFacts } from '../../src/model/inventory.ts'
import { happened } from '../../src/model/dates.ts'
import type { Image } from '../../src/model/inventory.ts'
import { parseSize, parseTime } from '../../src/units.ts'
import { commandOf, recordings, replay, type Json } from './replay.ts'

async function readAll(docker: Docker) {
  const engine = await readEngine(docker, {})
  const context = await readContext(docker)
  const inventory = await readInventory(docker, engine, context.name)
  const measured = inventory.containers.filter(({ name }) => name === 'helper')
  return {
    inventory: { ...inventory, containers: sorted(inventory.containers) },
    context,
    written: await optional(
      measureContainers(
        docker,
        measured.map(({ id }) => id)
      )
    ),
    volumes: await measureVolumes(docker),
    histories: await optional(measureLayers(docker, engine, inventory.images))
  }
}

const sorted = <T extends { id: string }>(all: T[]) =>
  all.toSorted((a, b) => (a.id < b.id ? -1 : 1))

// A second, strict reader of the same output: each function throws on an unexpected type.

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function assert(valid: boolean): void {
  if (!valid) throw new Error('unexpected type')
}

function get(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>((inner, key) => {
    assert(isObject(inner) || inner == null)
    return isObject(inner) && Object.hasOwn(inner, key) ? inner[key] : undefined
  }, value)
}

function text(value: unknown, ...path: string[]): string {
  const got = get(value, ...path) ?? ''
  assert(typeof got === 'string')
  return typeof got === 'string' ? got : ''
}

function list(value: unknown, ...path: string[]): unknown[] {
  const got = get(value, ...path) ?? []
  assert(Array.isArray(got))
  return Array.isArray(got) ? got : []
}

const texts = (value: unknown, ...path: string[]) =>
  list(value, ...path).map((one) => {
    assert(typeof one === 'string')
    return String(one)
  })

function entries(value: unknown, ...path: string[]): [string, unknown][] {
  const got = get(value, ...path) ?? {}
  assert(isObject(got))
  return Object.entries(got)
}

const map = (value: unknown, ...path: string[]) =>
  Object.fromEntries(
    entries(value, ...path).map(([key, one]) => [key, text({ one }, 'one')])
  )

function time(value: unknown, ...path: string[]): number | undefined {
  const got = text(value, ...path)
  const instant = parseTime(got)
  assert(got === '' || instant !== undefined)
  return instant
}

function size(value: unknown, ...path: string[]): number {
  const got = get(value, ...path) ?? 0
  assert(typeof got === 'number' && got >= 0 && Number.isFinite(got))
  return Number(got)
}

function flag(value: unknown, ...path: string[]): boolean {
  const got = get(value, ...path) ?? false
  assert(typeof got === 'boolean')
  return got === true
}

function name(value: unknown, ...path: string[]): string {
  const got = text(value, ...path)
  assert(got !== '')
  return got
}

const eachLine = (stdout: string) =>
  stdout
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line): unknown => JSON.parse(line))

/** Reads recorded output strictly, as the expectation for the product's readers. */
function readStrictly(printed: (command: string) => string, changed: string) {
  const info: unknown = JSON.parse(printed('info'))
  assert(isObject(info))
  assert(texts(info, 'ServerErrors').length === 0)
  const status = list(info, 'DriverStatus').map((pair) =>
    texts({ pair }, 'pair')
  )
  const containerd = status.some(
    ([key, value]) =>
      key === 'driver-type' && value === 'io.containerd.snapshotter.v1'
  )
  const address = text(info, 'Containerd', 'Address')
  const contexts: unknown = JSON.parse(printed('context inspect'))
  const [context] = list({ contexts }, 'contexts').map((one) => {
    assert(isObject(one))
    return {
      name: text(one, 'Name') || 'default',
      endpoint: text(one, 'Endpoints', 'docker', 'Host')
    }
  })
  const listing = (kind: string) =>
    eachLine(printed(`${kind} ls`)).map((one) => name({ one }, 'one'))
  const inspected = (kind: string, ids: string[]) => {
    if (ids.length === 0) return []
    const raw: unknown = JSON.parse(printed(`${kind} inspect`))
    const key = kind === 'volume' ? 'Name' : 'Id'
    const all = list({ raw }, 'raw').map((one) => {
      assert(isObject(one))
      return { one, id: name(one, key) }
    })
    const wanted = new Set(ids)
    // Inspect must return exactly the requested objects.
    if (changed === `${kind} inspect`)
      assert(
        all.length === wanted.size &&
          new Set([...wanted, ...all.map(({ id }) => id)]).size ===
            wanted.size &&
          new Set(all.map(({ id }) => id)).size === all.length
      )
    return all.filter(({ id }) => wanted.has(id)).map(({ one }) => one)
  }
  const mounts = (raw: unknown, ...path: string[]) =>
    list(raw, ...path).map((one) => {
      assert(isObject(one))
      return {
        type: text(one, 'Type'),
        name: text(one, 'Name'),
        source: text(one, 'Source')
      }
    })
  const containers = inspected('container', listing('container')).map((raw) => {
    const mounted = mounts(raw, 'Mounts')
    const asked = mounts(raw, 'HostConfig', 'Mounts')
    const isType = (type: string) => (one: { type: string }) =>
      one.type === type || one.type === ''
    const modes = [
      ...['NetworkMode', 'IpcMode', 'PidMode', 'UTSMode', 'UsernsMode']
    ].map((mode) => text(raw, 'HostConfig', mode))
    const networks = entries(raw, 'NetworkSettings', 'Networks').map(
      ([key, endpoint]) => {
        assert(isObject(endpoint) || endpoint === null)
        const links = texts(endpoint, 'Links')
        return { key, id: text(endpoint, 'NetworkID'), links }
      }
    )
    const binds = texts(raw, 'HostConfig', 'Binds')
    const named = (...names: string[]) => [...new Set(names.filter(Boolean))]
    const target = (one: string) => one.replace(/^\//, '').split(':')[0] ?? ''
    const restarts = get(raw, 'RestartCount') ?? 0
    assert(typeof restarts === 'number' && Number.isFinite(restarts))
    return {
      id: name(raw, 'Id'),
      name: text(raw, 'Name').replace(/^\//, '') || name(raw, 'Id'),
      state: text(raw, 'State', 'Status'),
      createdAt: time(raw, 'Created'),
      startedAt: time(raw, 'State', 'StartedAt'),
      finishedAt: time(raw, 'State', 'FinishedAt'),
      restartPolicy: text(raw, 'HostConfig', 'RestartPolicy', 'Name'),
      autoRemove: flag(raw, 'HostConfig', 'AutoRemove'),
      restarts,
      labels: map(raw, 'Config', 'Labels'),
      image: text(raw, 'Image'),
      imageReference: text(raw, 'Config', 'Image'),
      joins: named(
        ...modes
          .filter((mode) => /^container:./.test(mode))
          .map((mode) => mode.slice('container:'.length)),
        ...texts(raw, 'HostConfig', 'Links').map(target),
        ...networks.flatMap(({ links }) => links).map(target),
        ...texts(raw, 'HostConfig', 'VolumesFrom').map(target)
      ),
      mountedImages: named(
        ...mounted
          .filter(isType('image'))
          .flatMap((one) => [one.name, one.source]),
        ...asked.filter(isType('image')).map((one) => one.source)
      ),
      networks: named(...networks.flatMap(({ key, id }) => [key, id])),
      volumes: named(
        ...mounted.filter(isType('volume')).map((one) => one.name),
        ...mounted.filter(isType('cluster')).map((one) => one.name),
        ...asked.filter(isType('volume')).map((one) => one.source),
        ...binds.flatMap((one) => /^[^/\\:]{2,}(?=:)/.exec(one)?.[0] ?? [])
      ),
      binds: named(...mounted.filter(isType('bind')).map((one) => one.source)),
      execs:
        get(raw, 'ExecIDs') === undefined ? undefined : texts(raw, 'ExecIDs')
    }
  })
  const listed = eachLine(printed('image ls')).map(
    (one) => [name(one, 'ID'), text(one, 'Size')] as const
  )
  const sizes = new Map(listed)
  const ids = [...sizes.keys()]
  const images = inspected('image', ids).flatMap((raw) => {
    const whole = text(raw, 'RootFS', 'Type') !== ''
    const real = (one: string) => !one.includes('<none>')
    const tags = texts(raw, 'RepoTags').filter(real)
    const digests = texts(raw, 'RepoDigests').filter(real)
    const id = name(raw, 'Id')
    const bytes = size(raw, 'Size')
    const created = parseTime(text(raw, 'Created'))
    const tagged = time(raw, 'Metadata', 'LastTagTime')
    const shown = parseSize((sizes.get(id) ?? '').trim()) ?? 0
    const withUnpacked = containerd && shown > bytes * 1.01
    const image = {
      id,
      references: containerd
        ? [...new Set(tags)]
        : [...new Set([...tags, ...digests])],
      digests,
      aliases: [],
      parent: text(raw, 'Parent') || undefined,
      createdAt: created,
      taggedAt: tagged === created ? undefined : tagged,
      labels: map(raw, 'Config', 'Labels'),
      bytes: withUnpacked ? shown : bytes,
      layers: texts(raw, 'RootFS', 'Layers'),
      pulled: !containerd && digests.length > 0,
      byBuildKit: text(raw, 'Comment').startsWith('buildkit'),
      ...(containerd && { packedBytes: bytes })
    }
    // A damaged image must not pass for an image without labels.
    return whole ? [image] : []
  })
  const networks = inspected('network', listing('network')).map((raw) => ({
    id: name(raw, 'Id'),
    name: name(raw, 'Name'),
    scope: text(raw, 'Scope'),
    createdAt: time(raw, 'Created'),
    labels: map(raw, 'Labels'),
    ingress: flag(raw, 'Ingress'),
    configFrom: text(raw, 'ConfigFrom', 'Network') || undefined,
    containers: entries(raw, 'Containers').map(([key]) => key)
  }))
  const volumes = inspected('volume', listing('volume')).map((raw) => ({
    name: name(raw, 'Name'),
    driver: text(raw, 'Driver'),
    createdAt: time(raw, 'CreatedAt'),
    labels: map(raw, 'Labels'),
    options: map(raw, 'Options'),
    mountpoint: text(raw, 'Mountpoint')
  }))
  const events = eachLine(printed('events')).map((raw) => ({
    at: size({ at: get(raw, 'timeNano') ?? NaN }, 'at') / 1e6,
    type: text(raw, 'Type'),
    action: text(raw, 'Action'),
    id: text(raw, 'Actor', 'ID'),
    image: map(raw, 'Actor', 'Attributes')['image'] ?? '',
    name: map(raw, 'Actor', 'Attributes')['name'] ?? '',
    container:
      text(raw, 'Type') === 'container'
        ? ''
        : (map(raw, 'Actor', 'Attributes')['container'] ?? '')
  }))
  const version: unknown = JSON.parse(printed('version'))
  const parts = list(version, 'Server', 'Components').map((one) =>
    text(one, 'Name')
  )
  return {
    context: context ?? { name: 'default', endpoint: '' },
    engine: {
      kind: parts.includes('Podman Engine') ? 'podman' : 'docker',
      name: text(info, 'Name'),
      id: text(info, 'ID'),
      version: text(info, 'ServerVersion'),
      store: containerd ? 'containerd' : text(info, 'Driver'),
      now: time(info, 'SystemTime') ?? 0,
      rootDir: text(info, 'DockerRootDir'),
      kernel: text(info, 'KernelVersion'),
      ...(address && { containerdAddress: address }),
      takesParents: false,
      swarm: swarmOf(info),
      logsBuilds: Number.parseInt(text(info, 'ServerVersion'), 10) >= 23
    },
    containers: sorted(containers),
    images,
    networks,
    volumes,
    events
  }
}

function swarmOf(info: unknown): string {
  const swarm = get(info, 'Swarm')
  assert(isObject(swarm) || swarm === undefined || swarm === null)
  const manages = flag(swarm, 'ControlAvailable')
  const state = text(swarm, 'LocalNodeState')
  if (state === '' || state === 'inactive') return 'none'
  return manages ? 'manager' : 'worker'
}

// Mutations of the output.

const junk = [
  ...['WARNING: Error loading config file', '', '{}', '[]', 'null', '5'],
  ...['"text"', '<html>', '\u0000', '{"__proto__":{"Id":"x"}}']
]
const oddValues = [
  ...['null', 'true', '0', '-1', '0.5', '1e300', '-1e300', '1e999', '[]'],
  ...['""', '"text"', '"not a date"', '"2026-13-45T99:00:00Z"', '"-5MB"'],
  ...['[null]', '["x"]', '[5]', '[[]]', '[{}]', '{}', '{"x":"y"}', '{"x":5}'],
  ...['{"__proto__":"x"}', '{"__proto__":{"Type":"volume"}}']
]

/** Keys that the product reads; mutations prefer these. */
const readKeys = new Set(
  `ID Id Name Image State Status StartedAt FinishedAt Config Labels HostConfig
  NetworkMode IpcMode PidMode UTSMode UsernsMode VolumesFrom Binds Swarm LocalNodeState ControlAvailable Links Mounts ExecIDs Type Source NetworkSettings Networks NetworkID RestartCount RestartPolicy AutoRemove SizeRw LogPath LogConfig RepoTags RepoDigests
  Config RootFS Parent Comment Created Size Metadata LastTagTime RootFS Layers Scope Ingress ConfigFrom Network Containers Driver
  CreatedAt Options Mountpoint Action Actor Attributes image name container timeNano DriverStatus DockerRootDir SystemTime ServerErrors
  ServerVersion KernelVersion Containerd Address Endpoints docker Host CreatedBy BuildCache Volumes LastUsedAt InUse Shared`.split(
    /\s+/
  )
)

const change = fc.record({
  how: fc.constantFrom(
    ...(['cut', 'drop', 'twice', 'insert'] as const),
    ...(['swap', 'swap', 'swap', 'swap', 'delete', 'add'] as const)
  ),
  at: fc.nat(),
  junk: fc.constantFrom(...junk),
  value: fc.constantFrom(...oddValues)
})

type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

function mutate(stdout: string, { how, at, junk, value }: Change): string {
  const lines = stdout.split('\n')
  const line = at % lines.length
  if (how === 'cut') return stdout.slice(0, at % (stdout.length + 1))
  if (how === 'drop') return lines.toSpliced(line, 1).join('\n')
  if (how === 'insert') return lines.toSpliced(line, 0, junk).join('\n')
  if (how === 'twice')
    return lines.toSpliced(line, 0, lines[line] ?? '').join('\n')
  // Change one value, of the whole JSON or of one line of it.
  const whole = isJson(stdout)
  const json = whole ? stdout : (lines[line] ?? '')
  if (!isJson(json)) return stdout
  const changed = mutateValue(JSON.parse(json), { how, at, value })
  return whole ? changed : lines.with(line, changed).join('\n')
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Swaps or deletes one value, or adds keys next to it. */
function mutateValue(
  root: unknown,
  { how, at, value }: Pick<Change, 'how' | 'at' | 'value'>
): string {
  const all = [...pathsOf(root)]
  const read = all.filter((path) => readKeys.has(path.at(-1) ?? ''))
  const paths = at % 3 > 0 && read.length > 0 ? read : all
  const path = paths[Math.floor(at / 3) % paths.length] ?? []
  const write = (inner: unknown, depth: number): string => {
    if (depth === path.length) {
      if (how === 'swap' || !isObject(inner)) return value
      const extra = [`"__proto__":${value}`, `"extra":${value}`]
      const own = Object.entries(inner).map(pair)
      return `{${[...own, ...extra].join(',')}}`
    }
    const gone = how === 'delete' && depth === path.length - 1
    const children = Object.entries(Object(inner) as Json).flatMap(
      ([key, child]): [string, string][] => {
        if (key !== path[depth]) return [[key, JSON.stringify(child)]]
        return gone ? [] : [[key, write(child, depth + 1)]]
      }
    )
    return Array.isArray(inner)
      ? `[\n${children.map(([, child]) => child).join(',\n')}]`
      : `{${children.map(([key, child]) => `${JSON.stringify(key)}:${child}`).join(',')}}`
  }
  const pair = ([key, child]: [string, unknown]) =>
    `${JSON.stringify(key)}:${JSON.stringify(child)}`
  return write(root, 0)
}

function* pathsOf(value: unknown, path: string[] = []): Generator<string[]> {
  yield path
  if (typeof value === 'object' && value !== null)
    for (const [key, child] of Object.entries(value))
      yield* pathsOf(child, [...path, key])
}

const mayBeUnknown = new Set(
  'parent createdAt startedAt finishedAt taggedAt configFrom execs ledger records written histories services oldestJob self'.split(
    ' '
  )
)

/** Lists the fields that are unexpectedly undefined or NaN. */
function findHoles(value: unknown, key = ''): string[] {
  if (value === undefined) return mayBeUnknown.has(key) ? [] : [key]
  if (typeof value === 'number') return Number.isNaN(value) ? [key] : []
  if (value instanceof Map)
    return [...value].flatMap(([inner, child]) =>
      findHoles(child, String(inner))
    )
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([inner, child]) =>
    findHoles(child, inner)
  )
}

/** Converts to text, in which the key `__proto__` compares like any other. */
const shown = (value: unknown) => JSON.stringify(value, null, 1)

const factsOf = ({
  context,
  inventory
}: Awaited<ReturnType<typeof readAll>>) => {
  const { engine, containers, images, networks, volumes, events } = inventory
  return { context, engine, containers, images, networks, volumes, events }
}

const cacheOf = ({ inventory }: Awaited<ReturnType<typeof readAll>>) =>
  inventory.buildCache.records?.map(({ bytes, inUse, shared }) => ({
    bytes,
    inUse,
    shared
  }))

const names = [...recordings.keys()]
const runs = 600

test.each(names)('the output recorded in %s is read exactly', async (name) => {
  const recording = recordings.get(name) ?? []
  const read = await readAll(replay(recording))
  expect(findHoles(read)).toEqual([])
  expect(shown(factsOf(read))).toBe(
    shown(
      readStrictly(
        (command) =>
          recording.find(({ args }) => commandOf(args) === command)?.stdout ??
          '',
        ''
      )
    )
  )
  const { inventory, written, volumes, histories } = read
  expect(inventory.containers.length).toBeGreaterThan(2)
  expect(inventory.images.length).toBe(4)
  expect(inventory.events.length).toBeGreaterThan(10)
  expect(inventory.buildCache.records?.length).toBeGreaterThan(2)
  expect([written?.size, volumes.size, histories?.layers.size]).toEqual([
    1, 2, 4
  ])
})

test.each([
  // On the containerd store, the listed size depends on what is unpacked.
  ['29.8-containerd.json', [{ bytes: 1 }]],
  ['29.8-overlay2.json', []],
  ['28.5-containerd.json', [{ bytes: 1 }]],
  ['28.5-overlay2.json', []],
  ['20.10-overlay2.json', []]
])(
  'with %s, only images whose listing changed are inspected again',
  async (name, changes: Partial<Image>[]) => {
    const recording = recordings.get(name) ?? []
    const engine = await readEngine(replay(recording), {})
    const look = async (facts: ReadonlyMap<string, ImageFacts>) => {
      const asked: string[] = []
      const docker: Docker = (args) => {
        if (args[0] === 'image' && args[1] === 'inspect')
          asked.push(...args.slice(3))
        return replay(recording)(args)
      }
      const { images } = await readInventory(docker, engine, 'default', facts)
      return { asked, images }
    }
    const { images } = await look(new Map())
    const known = images.map((image) => ({ ...image, remembered: true }))
    const facts = (all: Image[]) =>
      new Map(all.map((image) => [image.id, { image }]))
    const isDated = ({ createdAt }: Image) => happened(createdAt) !== undefined
    const dated = known.filter(isDated)
    const undated = known.filter((image) => !isDated(image))
    expect([dated.length, undated.length]).toEqual([3, 1])

    const again = await look(facts(known))
    expect(again.asked).toEqual(undated.map(({ id }) => id))
    expect(again.images).toEqual(expect.arrayContaining(dated))
    for (const change of [
      ...changes,
      { references: [] },
      { references: ['other:1'] },
      { digests: [] }
    ]) {
      const changed = dated.map((image) => ({ ...image, ...change }))
      const { asked } = await look(facts(changed))
      // A dangling image has no references to lose.
      const same = changed.filter((one, index) =>
        isDeepStrictEqual(one, dated[index])
      )
      expect(asked).toHaveLength(known.length - same.length)
    }
  }
)

test.each(names)(
  'mutated output of %s is read exactly, or is an error that names the command',
  async (name) => {
    const recording = recordings.get(name) ?? []
    const cache = cacheOf(await readAll(replay(recording)))
    const cacheCommand = recording.some(({ args }) => args[1] === 'du')
      ? 'buildx du'
      : 'system df'
    let read = 0
    let refused = 0
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...recording),
        change,
        async ({ args, stdout }, change) => {
          const command = commandOf(args)
          const changed = { args, stdout: mutate(stdout, change) }
          let expected: ReturnType<typeof readStrictly> | undefined
          try {
            expected = readStrictly((wanted) => {
              const call = recording.find(
                (one) => commandOf(one.args) === wanted
              )
              return (call?.args === args ? changed : call)?.stdout ?? ''
            }, command)
          } catch {
            expected = undefined
          }
          let got
          try {
            got = await readAll(replay(recording, changed))
          } catch (error) {
            refused += 1
            expect(error).toBeInstanceOf(DockerError)
            const { kind, message } = error as DockerError
            if (kind !== 'no-engine')
              expect(message).toContain(`docker ${command}`)
            return
          }
          read += 1
          expect(findHoles(got)).toEqual([])
          expect(expected).toBeDefined()
          if (expected?.engine.now === 0)
            expected.engine.now = got.inventory.engine.now
          expect(shown(factsOf(got))).toBe(shown(expected))
          // Sizes may be missing, but never invented.
          const records = cacheOf(got)
          const nothing = changed.stdout.trim() === '' ? [[]] : []
          if (command === 'buildx du')
            expect([cache, undefined, ...nothing]).toContainEqual(records)
          else if (command === cacheCommand)
            for (const { bytes } of records ?? [])
              expect(sizesIn(changed.stdout)).toContain(bytes)
          else expect(records).toEqual(cache)
          if (command === 'system df')
            for (const bytes of got.volumes.values())
              expect(sizesIn(changed.stdout)).toContain(bytes)
        }
      ),
      { numRuns: runs }
    )
    expect(Math.min(read, refused)).toBeGreaterThan(runs / 10)
  }
)

function sizesIn(json: string): number[] {
  return [...json.matchAll(/"Size":\s*"([^"]*)"/g)].flatMap(
    ([, text = '']) => parseSize(text) ?? []
  )
}

test.each(names)(
  'the total of mutated prune output of %s is read exactly, or unknown',
  (name) => {
    const [prune] = (recordings.get(name) ?? []).filter(
      ({ args }) => args[1] === 'prune'
    )
    const total = readTotal(prune?.stdout ?? '')
    expect(total).toBeGreaterThan(0)
    fc.assert(
      fc.property(change, (change) => {
        expect([total, undefined]).toContain(
          readTotal(mutate(prune?.stdout ?? '', change))
        )
      }),
      { numRuns: 1_000 }
    )
  }
)
