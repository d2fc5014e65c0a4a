// Records what a real engine prints to the commands that src/docker reads, for the tests of its readers.
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { hostname, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { format } from 'prettier'
import { createDocker, type Docker } from '../src/docker/cli.ts'
import { readContext, readEngine } from '../src/docker/engine.ts'
import { readInventory } from '../src/docker/inventory.ts'
import { pruneArguments } from '../src/removal/buildCache.ts'
import {
  measureContainers,
  measureLayers,
  readDiskUsage
} from '../src/docker/sizes.ts'
import { startEngine, type ThrowawayEngine } from './engine.ts'
import { createCli, importBusybox, loadImages } from './fixtures.ts'

const root = process.env['ENGINE_ROOT']
const engine = await startEngine({
  ...(root && { root }),
  store: process.env['ENGINE_STORE'] || undefined
})
const folder = await mkdtemp(join(tmpdir(), 'record-'))
try {
  if (root) {
    // The CLI of another system looks for its plugins in this one.
    const plugin = 'cli-plugins/docker-buildx'
    await mkdir(join(folder, 'cli-plugins'))
    await copyFile(`${root}/usr/libexec/docker/${plugin}`, join(folder, plugin))
  }
  const env = {
    DOCKER_BUILDKIT: '1',
    DOCKER_HOST: engine.host,
    DOCKER_CONFIG: folder,
    PATH: process.env['PATH'] ?? '',
    HOME: folder
  }
  await fill(engine, env)
  const recorded = new Map<string, { args: string[]; stdout: string }>()
  const call = createDocker({
    command: engine.docker,
    env,
    concurrency: 1,
    deadline: Infinity,
    signal: new AbortController().signal
  })
  const docker: Docker = async (args, options) => {
    const output = await call(args, options)
    if (output.exitCode === 0)
      recorded.set(args.join(' '), { args: [...args], stdout: output.stdout })
    else console.log('not recorded:', args.join(' '), output.stderr)
    return output
  }
  const seen = await readEngine(docker, env)
  const { name } = await readContext(docker)
  const inventory = await readInventory(docker, seen, name)
  const helper = inventory.containers.filter(({ name }) => name === 'helper')
  await measureContainers(
    docker,
    helper.map(({ id }) => id)
  )
  await measureLayers(docker, seen, inventory.images)
  await readDiskUsage(docker)
  await docker(pruneArguments(0, 0))
  const file = join(
    import.meta.dirname,
    `../__tests__/docker/recordings/${seen.version.split('.').slice(0, 2).join('.')}-${seen.store}.json`
  )
  const text = JSON.stringify([...recorded.values()])
    .replaceAll(engine.folder, '/engine')
    .replaceAll(folder, '/config')
    .replaceAll(hostname(), 'runner')
    .replaceAll(release(), '6.1.0')
  await writeFile(file, await format(text, { parser: 'json' }))
  console.log(file, text.length)
} finally {
  await engine.stop()
  await rm(folder, { recursive: true })
}

async function fill(
  engine: ThrowawayEngine,
  env: Record<string, string>
): Promise<void> {
  const docker = createCli(engine, env)
  await importBusybox(engine)
  await loadImages(engine, [
    {
      references: ['app:1', 'mirror/app:1'],
      created: '2024-05-01T12:00:00Z',
      labels: { keep: 'yes', team: 'web' },
      layers: [
        { name: 'base', bytes: 5_000 },
        { name: 'app', bytes: 1_000 }
      ]
    },
    { references: [], layers: [{ name: 'base', bytes: 5_000 }] }
  ])
  // What a build runs stands in the description of its record.
  const command = ['sh', '-c', "echo a >/a; : '\n\nSize:\t9GB\n'"]
  await writeFile(
    join(folder, 'Dockerfile'),
    `FROM busybox:1\nRUN ${JSON.stringify(command)}\n`
  )
  await docker('build', '--tag', 'built:1', '--network', 'none', folder)
  await docker('network', 'create', '--label', 'team=web', 'backend')
  await docker('network', 'create', '--config-only', 'settings')
  await docker('network', 'create', '--config-from', 'settings', 'configured')
  await docker('volume', 'create', '--label', 'team=web', 'data')
  await docker(
    ...['volume', 'create', '--opt', 'type=tmpfs', '--opt', 'device=tmpfs'],
    'memory'
  )
  await docker(
    ...['run', '--detach', '--name', 'web', '--label', 'com.example=a b'],
    ...['--network', 'none', '--volume', 'data:/data', '--volume', '/more'],
    ...['--volume', `${engine.folder}:/host:ro`],
    ...['busybox:1', 'sleep', '600']
  )
  await docker(
    ...['create', '--name', 'job', '--network', 'backend', 'app:1', 'true']
  )
  await docker(
    ...['run', '--name', 'helper', '--network', 'container:web'],
    ...['busybox:1', 'sh', '-c', 'echo written >/file']
  )
  await docker(
    ...['create', '--name', 'images', '--network', 'none'],
    ...['--mount', 'type=image,source=app:1,target=/app'],
    ...['busybox:1', 'true']
  ).catch(() => '')
}
