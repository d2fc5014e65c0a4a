import { rename, stat, statfs } from 'node:fs/promises'
import { hostname, release } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { createCli } from '../../../scripts/fixtures/fixtures.ts'
import { createDocker } from '../../../src/docker/cli.ts'
import {
  findKeepFlag,
  pruneArguments,
  readPruned,
  readTotal
} from '../../../src/removal/buildCache.ts'
import { parseSize } from '../../../src/units.ts'
import { createCache } from '../harness/cache.ts'
import { makeDockerConfig } from '../harness/clis.ts'
import { seeingDiskOf, useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { containerd, onlyOnDocker, podman, root } from '../harness/target.ts'
import { everything } from '../harness/things.ts'
import { createFacts, inspectOne, printing, readLines } from './fact.ts'

const tests = useEngine()
const { docker: real, engine, environment, load, step, folder } = tests
const { fillCache } = createCache(tests)
const fact = createFacts(tests)

const exact = !containerd && !podman

/** Storage drivers count files exactly; in other stores, archives and manifests add some kilobytes. */
function expectAbout(size: number | undefined, bytes: number): void {
  expect(size).toBeGreaterThanOrEqual(bytes)
  expect(size).toBeLessThanOrEqual(bytes + (exact ? 0 : 32_000))
}

const loadPair = () =>
  load(
    ['one', 'two'].map((name) => ({
      references: [`${name}:1`],
      created: '2024-05-01T12:00:00Z',
      layers: [
        { name: 'base', bytes: 200_000 },
        { name, bytes: 70_000 }
      ]
    }))
  )

fact(
  'F27, F57',
  'inspect prints the size of an image, history that of each layer, and ls the occupied space',
  printing('image history', 's/"Size":"[0-9]*"/"Size":"1"/'),
  async ({ docker }) => {
    await loadPair()
    const { Size, RootFS } = await inspectOne<{
      Size: number
      RootFS: { Layers: string[] }
    }>(docker, 'image', 'one:1')
    expect(RootFS.Layers).toHaveLength(2)
    expectAbout(Size, 270_000)

    const history = readLines<{ Size: string }>(
      await docker(
        ...['image', 'history', '--no-trunc', '--human=false'],
        ...['--format', '{{json .}}', 'one:1']
      )
    )
    const sizes = history.map(({ Size }) => Number(Size))
    expect(sizes).toHaveLength(2)
    expectAbout(sizes[0], 70_000)
    expectAbout(sizes[1], 200_000)
    const [row] = readLines<{ Size: string }>(
      await docker('image', 'ls', '--format', '{{json .}}', 'one')
    )
    // The containerd store holds each layer packed and unpacked.
    const unpacked = sizes.reduce((a, b) => a + b, 0)
    const all = (containerd ? unpacked : 0) + Size
    const listed = parseSize(row?.Size ?? '') ?? 0
    expect(Math.abs(listed - all)).toBeLessThan(all / 100)
  }
)

fact(
  'F27',
  'removing an image frees its own layers; a shared layer is freed with the last image',
  printing('image history', 's/"Size":"[0-9]*"/"Size":"1"/'),
  async ({ command }) => {
    await loadPair()
    const bytesOf = async (inputs: Record<string, string>) => {
      const plan = await step({ ...inputs, 'dry-run': 'true', docker: command })
      return Number(plan.outputs['planned-bytes'])
    }
    // Packed and unpacked.
    const copies = containerd ? 2 : 1
    const one = await bytesOf({
      ...everything,
      'protected-images': 'busybox, two'
    })
    expectAbout(one, 70_000 * copies)
    expectAbout(await bytesOf(everything), 340_000 * copies)
  }
)

fact(
  'F27, F28',
  'a container is measured on request, a volume by system df',
  `case "$1 $2 $3" in "container inspect --size") shift 3; exec "$docker" container inspect "$@" ;; esac`,
  async ({ docker }) => {
    const write = (file: string) => [
      'dd',
      'if=/dev/zero',
      `of=${file}`,
      'bs=1000',
      'count=300'
    ]
    await real(
      ...['run', '--network', 'none', '--name', 'writer'],
      ...['--volume', 'data:/data', 'busybox:1'],
      ...[
        'sh',
        '-c',
        `${write('/file').join(' ')}; ${write('/data/file').join(' ')}`
      ]
    )
    type Sized = { SizeRw?: number }
    const plain = await inspectOne<Sized>(docker, 'container', 'writer')
    expect(plain.SizeRw ?? undefined).toBeUndefined()
    const [sized] = JSON.parse(
      await docker('container', 'inspect', '--size', 'writer')
    ) as [Sized]
    expectAbout(sized.SizeRw, 300_000)

    type Usage = { Volumes: { Name: string; Size: string }[] }
    const usage = JSON.parse(
      await docker('system', 'df', '--verbose', '--format', '{{json .}}')
    ) as Usage
    expect(usage.Volumes).toMatchObject([{ Name: 'data', Size: '300kB' }])
  }
)

type Info = {
  ID: string
  Name: string
  KernelVersion: string
  DockerRootDir: string
  SystemTime: string
}

fact(
  'F29',
  'info has the host name and the data folder; Podman’s ID changes with every call',
  printing(
    'info --format',
    's/"DockerRootDir":"[^"]*"/"DockerRootDir":"\\/none"/'
  ),
  async ({ docker, command }) => {
    const ask = async () =>
      JSON.parse(await docker('info', '--format', '{{json .}}')) as Info
    const info = await ask()
    expect(info).toMatchObject({ Name: hostname(), KernelVersion: release() })
    const inside = join('/proc', String(engine().pid), 'root')
    const data = await stat(join(inside, engine().folder, 'data'))
    const reported = await stat(join(inside, info.DockerRootDir)).catch(
      () => undefined
    )
    expect(reported).toMatchObject({ dev: data.dev, ino: data.ino })
    expect((await ask()).ID === info.ID).toBe(!podman)

    const done = await step({ 'dry-run': 'true', docker: command })
    expect(Number(done.outputs['free-bytes-before'])).toBeGreaterThan(0)
  }
)

test('F29: the report has the engine’s disk, with inodes', async () => {
  const files = 'mkdir /files; for i in $(seq 500); do echo >/files/$i; done'
  await real(
    ...['run', '--network', 'none', '--name', 'files', 'busybox:1'],
    ...['sh', '-c', `${files}; dd if=/dev/urandom of=/data bs=1000 count=3000`]
  )
  const without = seeingDiskOf(engine())
  const { report } = await step(everything, {}, { without })
  const path = join(engine().folder, 'data')
  const root = join('/proc', String(engine().pid), 'root')
  const { files: totalInodes } = await statfs(join(root, path))
  expect(report?.disks).toMatchObject([
    {
      path,
      holds: ['images', 'containers', 'build-cache', 'volumes', 'logs'],
      ...{ before: { totalInodes }, after: { totalInodes } }
    }
  ])
  const [{ before, after } = {}] = report?.disks ?? []
  const gained = (key: 'freeBytes' | 'freeInodes') =>
    (after?.[key] ?? NaN) - (before?.[key] ?? NaN)
  expect(gained('freeBytes')).toBeGreaterThan(2_900_000)
  expect(gained('freeInodes')).toBeGreaterThanOrEqual(500)
})

const onContainerd = containerd ? test : test.skip

onContainerd(
  'F38, F53: with a system containerd, the report and the summary have both disks',
  async () => {
    // Without a configuration next to its socket, containerd does not count as started by dockerd.
    const config = join(engine().folder, 'containerd.toml')
    const hidden = `${config}.hidden`
    const ofSystem =
      'mount -t tmpfs -o size=9m tmpfs /var/lib && mkdir /var/lib/containerd && exec "$@"'
    const without = [
      ...seeingDiskOf(engine()),
      ...['unshare', '--mount', 'sh', '-c', ofSystem, 'sh']
    ]
    await real('create', '--network', 'none', 'busybox:1')
    await rename(config, hidden)
    try {
      const { report, summary } = await step(everything, {}, { without })
      expect(report?.disks).toMatchObject([
        { path: join(engine().folder, 'data'), holds: ['volumes', 'logs'] },
        {
          path: '/var/lib/containerd',
          holds: ['images', 'containers', 'build-cache'],
          after: { usedBytes: 0, freeBytes: expect.any(Number) }
        }
      ])
      const [own, images] = report?.disks ?? []
      expect(report?.totals.freeBytesBefore).toBe(own?.before.freeBytes)
      expect(images?.before.freeBytes).toBeLessThan(10_000_000)
      expect(summary).toMatch(
        /^## .* Disk .* % used, image store disk 0 % used\.$/m
      )
      expect(summary).toContain('`/var/lib/containerd` (images, containers')
    } finally {
      await rename(hidden, config)
    }
  }
)

const plugin = `${root ?? ''}/usr/libexec/docker/cli-plugins/docker-buildx`

createFacts(tests, onlyOnDocker('build cache'))(
  'F4, F23, F25, F39',
  'the prune accepts its arguments with and without buildx, reports a total, and can run in parallel',
  `case "$1 $2" in "builder prune") "$docker" "$@" | sed 's/^Total/Sum/'; exit ;; esac`,
  async ({ command }) => {
    for (const options of [{}, { plugin }]) {
      await fillCache('layer', 1)
      const path = join(folder(), `config-${Object.keys(options).length}`)
      const env = { DOCKER_CONFIG: await makeDockerConfig(path, options) }
      const flag = await findKeepFlag(
        createDocker({
          ...{ command, env: { ...(await environment()), ...env } },
          ...{ concurrency: 1, deadline: Infinity },
          signal: new AbortController().signal
        }),
        'default'
      )
      const prune = (until: number, keep: number) =>
        createCli(
          { ...engine(), docker: command },
          env
        )(...pruneArguments(until, keep, flag))
      for (const [until, keep] of [
        [3_600_000, 0],
        [1, 100_000_000]
      ] as const) {
        const kept = await prune(until, keep)
        expect(readTotal(kept)).toBe(0)
        expect(readPruned(kept)).toEqual([])
      }
      const freed: number[] = []
      const records: string[] = []
      // Without buildx, newer engines count whole seconds and find nothing, or only part of it, at first.
      const isMissing = () => Math.max(0, ...freed) < 1_000_000
      for (let tries = 0; tries < 50 && isMissing(); tries += 1)
        for (const text of await Promise.all([prune(1, 0), prune(1, 0)])) {
          freed.push(readTotal(text) ?? NaN)
          records.push(...readPruned(text))
        }
      expect(records).not.toEqual([])
      expect(Math.max(...freed)).toBeGreaterThanOrEqual(1_000_000)
    }
    const days = createCli(engine())(
      ...['builder', 'prune', '--force', '--filter', 'until=7d']
    )
    await expect(days).rejects.toThrow(/until.* expects a duration/)
  }
)

createFacts(tests, onlyOnDocker('build cache'))(
  'F23',
  'cache records are listed by buildx or by system df',
  `case "$1 $2" in "buildx du"|"system df") echo 'Error: none' >&2; exit 1 ;; esac`,
  async ({ command }) => {
    await fillCache('layer', 1)
    const cacheOf = async (env: Record<string, string>) => {
      const inputs = { 'include-images': 'false', until: '0s' }
      const plan = await step(
        { ...inputs, 'dry-run': 'true', docker: command },
        env
      )
      return resource(plan, 'build-cache')
    }
    const config = await makeDockerConfig(join(folder(), 'config'), { plugin })
    for (const env of [{}, { DOCKER_CONFIG: config }])
      expect(await cacheOf(env)).toMatchObject({
        action: 'remove',
        bytes: expect.any(Number)
      })
  }
)
