import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ThrowawayEngine } from '../engines/engine.ts'
import { startRegistry } from '../engines/registry.ts'
import {
  createCli,
  importBusybox,
  loadImages,
  type Cli
} from '../fixtures/fixtures.ts'
import { loadLargeImages } from './load.ts'

const hour = 3_600_000
const noNetwork = ['--network', 'none']

/** Fills an engine like that of a runner after some days of builds. */
export async function fill(
  engine: ThrowawayEngine,
  env: Record<string, string>
): Promise<void> {
  const docker = createCli(engine, env)
  const megabyte = await findMegabyte(engine.folder)
  await loadBuilds(engine, docker, megabyte)
  await importBusybox(engine)
  await docker('network', 'create', 'compose-of-last-week')
  await docker('network', 'create', 'preview')
  await createContainers(docker, megabyte)
  await createDatabase(docker, megabyte)
  await fillBuildCache(
    createCli(engine, { ...env, DOCKER_BUILDKIT: '1' }),
    megabyte
  )
  await pullByDigest(engine, docker)
}

/** The bytes of what the demo calls a megabyte: fewer on a small disk. */
async function findMegabyte(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize > 20e9) return 1_000_000
  console.log('Less than 20 GB are free here: all sizes are a tenth.')
  return 100_000
}

async function loadBuilds(
  engine: ThrowawayEngine,
  docker: Cli,
  megabyte: number
): Promise<void> {
  const now = Date.now()
  const ago = (hours: number) => new Date(now - hours * hour).toISOString()
  const layer = (name: string, megabytes: number) => ({
    name,
    bytes: megabytes * megabyte
  })
  const applications = [
    { repository: 'acme/web', dependencies: 210, each: 46 },
    { repository: 'acme/api', dependencies: 140, each: 31 },
    { repository: 'acme/worker', dependencies: 260, each: 58 }
  ]
  await loadLargeImages(engine, [
    ...applications.flatMap(({ repository, dependencies, each }) =>
      Array.from({ length: 6 }, (_, index) => ({
        references: [`${repository}:build-${index + 1}`],
        created: ago((6 - index) * 12),
        layers: [
          layer('distribution', 78),
          layer(`${repository}-dependencies`, dependencies),
          layer(`${repository}-${index}`, each + index)
        ]
      }))
    ),
    {
      references: ['postgres:17'],
      created: ago(2_000),
      layers: [layer('postgres', 150)]
    }
  ])
  for (const tag of ['latest', 'stable'])
    await docker('tag', 'acme/web:build-6', `acme/web:${tag}`)
  await docker('tag', 'acme/api:build-1', 'release/api:1.0')
}

async function createContainers(docker: Cli, megabyte: number): Promise<void> {
  const write = (file: string, megabytes: number) =>
    `dd if=/dev/zero of=${file} bs=${megabyte} count=${megabytes}`
  await docker(
    ...['run', '--detach', ...noNetwork, '--name', 'cache-server'],
    ...['--volume', 'cache-data:/data', 'busybox:1', 'sh', '-c'],
    `${write('/data/file', 64)}; sleep 3600`
  )
  await docker(
    ...['run', ...noNetwork, '--name', 'tests', '--volume', '/scratch'],
    ...['busybox:1', 'sh', '-c'],
    `${write('/scratch/file', 190)}; ${write('/coverage', 24)}`
  )
  await docker(
    ...['create', '--network', 'preview', '--name', 'preview'],
    ...['--label', 'keep', 'acme/api:build-2', 'serve']
  )
}

async function createDatabase(docker: Cli, megabyte: number): Promise<void> {
  await docker('volume', 'create', 'database')
  await docker(
    ...['run', '--rm', ...noNetwork, '--volume', 'database:/data'],
    ...['busybox:1', 'sh', '-c'],
    `dd if=/dev/zero of=/data/file bs=${megabyte} count=85`
  )
}

/** Builds an image twice: the first build loses its tag. */
async function fillBuildCache(docker: Cli, megabyte: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'demo-'))
  try {
    for (const build of [1, 2]) {
      await writeFile(
        join(folder, 'Dockerfile'),
        `FROM busybox:1\nRUN dd if=/dev/zero of=/file bs=${megabyte} count=120\nLABEL build=${build}\n`
      )
      await docker(
        ...['build', '--quiet', '--no-cache', ...noNetwork],
        ...['--tag', 'tool:latest', folder]
      )
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Pulls an image by digest, as deployments do, from a registry on loopback. */
async function pullByDigest(
  engine: ThrowawayEngine,
  docker: Cli
): Promise<void> {
  const registry = await startRegistry(engine).catch((error: unknown) => {
    console.log(
      `Skipping the image pulled by digest: the registry did not start: ${String(error)}`
    )
  })
  if (registry === undefined) return
  try {
    const reference = `${registry.address}/tools/lint:1`
    await loadImages(engine, [
      {
        references: [reference],
        created: '2024-05-01T12:00:00Z',
        layers: [{ name: 'lint', bytes: 12_000_000 }]
      }
    ])
    const [digest = ''] =
      /sha256:[0-9a-f]{64}/.exec(await docker('push', reference)) ?? []
    await docker('image', 'rm', reference)
    await docker('pull', '--quiet', `${registry.address}/tools/lint@${digest}`)
  } finally {
    await registry.stop()
  }
}
