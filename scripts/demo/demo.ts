/** Demonstrates the action on a throw-away engine: a dry run, a run, and the effect. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { startEngine, type ThrowawayEngine } from '../engines/engine.ts'
import {
  createCli,
  importBusybox,
  loadImages,
  type Cli
} from '../fixtures/fixtures.ts'
import { startRegistry } from '../engines/registry.ts'
import { runStep } from '../engines/step.ts'

const megabyte = 1_000_000
const hour = 3_600_000
const inputs = {
  'keep-last': '2',
  until: '0s',
  'protected-images': 'postgres',
  'include-volumes': 'anonymous'
}
const noNetwork = ['--network', 'none']

async function main(): Promise<void> {
  printTitle('Starting a throw-away engine; your own is not touched')
  const engine = await startEngine()
  try {
    const docker = createCli(engine)
    console.log(
      `Docker ${await docker('version', '--format', '{{.Server.Version}}')} at ${engine.host}`
    )
    printTitle('Filling it like a runner after some days of work')
    await fill(engine, docker)
    const before = await docker('system', 'df')
    console.log(before)

    const env = {
      DOCKER_HOST: engine.host,
      PATH: `${dirname(engine.docker)}:${process.env['PATH'] ?? ''}`
    }
    printTitle(`Dry run with ${JSON.stringify(inputs)}`)
    await runStep({ ...inputs, 'dry-run': 'true' }, env, { show: true })
    printTitle('Real run with the same inputs')
    const step = await runStep(inputs, env, { show: true })
    printTitle('Job summary of the real run (Markdown)')
    console.log(step.summary)
    printTitle('docker system df, before and after')
    console.log(`${before}\n\n${await docker('system', 'df')}`)
    printTitle('Kept')
    console.log(await docker('image', 'ls'))
    console.log(
      await docker(
        ...['container', 'ls', '--all', '--format'],
        'table {{.Names}}\t{{.Image}}\t{{.Status}}'
      )
    )
    console.log(await docker('volume', 'ls'))
    process.exitCode = step.exitCode ?? 1
  } finally {
    await engine.stop()
    console.log('\nThe throw-away engine and all its data are deleted.')
  }
}

function printTitle(text: string): void {
  console.log(`\n\u001b[1m── ${text} ──\u001b[0m`)
}

async function fill(engine: ThrowawayEngine, docker: Cli): Promise<void> {
  await loadBuilds(engine, docker)
  await importBusybox(engine)
  await docker('network', 'create', 'compose-of-last-week')
  await docker('network', 'create', 'preview')
  await createContainers(docker)
  await createDatabase(docker)
  await fillBuildCache(engine)
  await pullByDigest(engine, docker)
}

async function loadBuilds(engine: ThrowawayEngine, docker: Cli): Promise<void> {
  const now = Date.now()
  const ago = (hours: number) => new Date(now - hours * hour).toISOString()
  const applications = ['acme/web', 'acme/api', 'acme/worker']
  await loadImages(engine, [
    ...applications.flatMap((repository) =>
      Array.from({ length: 6 }, (_, index) => ({
        references: [`${repository}:build-${index + 1}`],
        created: ago((6 - index) * 12),
        layers: [
          { name: 'distribution', bytes: 8 * megabyte },
          { name: `${repository}-dependencies`, bytes: 4 * megabyte },
          { name: `${repository}-${index}`, bytes: megabyte }
        ]
      }))
    ),
    {
      references: ['postgres:17'],
      created: ago(2_000),
      layers: [{ name: 'postgres', bytes: 9 * megabyte }]
    }
  ])
  for (const tag of ['latest', 'stable'])
    await docker('tag', 'acme/web:build-6', `acme/web:${tag}`)
  await docker('tag', 'acme/api:build-1', 'release/api:1.0')
}

async function createContainers(docker: Cli): Promise<void> {
  await docker(
    ...['run', '--detach', ...noNetwork, '--name', 'cache-server'],
    ...['--volume', 'cache-data:/data', 'busybox:1', 'sh', '-c'],
    'dd if=/dev/urandom of=/data/file bs=1000000 count=2; sleep 3600'
  )
  await docker(
    ...['run', ...noNetwork, '--name', 'tests', '--volume', '/scratch'],
    ...['busybox:1', 'sh', '-c'],
    'dd if=/dev/urandom of=/scratch/file bs=1000000 count=3; dd if=/dev/urandom of=/log bs=1000000 count=1'
  )
  await docker(
    ...['create', '--network', 'preview', '--name', 'preview'],
    ...['--label', 'keep', 'acme/api:build-2', 'serve']
  )
}

async function createDatabase(docker: Cli): Promise<void> {
  await docker('volume', 'create', 'database')
  await docker(
    ...['run', '--rm', ...noNetwork, '--volume', 'database:/data'],
    ...['busybox:1', 'sh', '-c', 'echo precious >/data/file']
  )
}

async function fillBuildCache(engine: ThrowawayEngine): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'demo-'))
  try {
    const buildKit = createCli(engine, { DOCKER_BUILDKIT: '1' })
    for (const build of [1, 2]) {
      await writeFile(
        join(folder, 'Dockerfile'),
        `FROM busybox:1\nRUN dd if=/dev/urandom of=/file bs=1000000 count=5\nLABEL build=${build}\n`
      )
      await buildKit(
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
        layers: [{ name: 'lint', bytes: 2 * megabyte }]
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

await main()
