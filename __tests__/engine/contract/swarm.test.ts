import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import { exists } from '../../../scripts/engines/packages.ts'
import { eventFormat, readEvents } from '../../../src/docker/events.ts'
import { useOwnEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { onlyOnDocker } from '../harness/target.ts'
import { everything, oldImage } from '../harness/things.ts'
import { createFacts } from './fact.ts'

const engine = useOwnEngine()
const { docker, load, step, contents, states, folder, dockerThat } = engine
const it = onlyOnDocker('swarm')

const inUse = { action: 'keep', reason: 'in-use' }
const withVolumes = { ...everything, 'include-volumes': 'all' }

const service = (name: string, image: string, ...args: string[]) =>
  docker(
    ...['service', 'create', '--detach', '--no-resolve-image', '--quiet'],
    ...['--network', 'host', '--name', name, ...args, image, 'true']
  )

async function untilStates(pattern: RegExp): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    if (pattern.test((await states()).join())) return
    await sleep(100)
  }
  throw new Error(`the containers are: ${(await states()).join()}`)
}

async function initSwarm(): Promise<void> {
  const local = '127.0.0.1'
  await docker(
    'swarm',
    'init',
    '--advertise-addr',
    local,
    '--listen-addr',
    `${local}:0`
  )
}

it('images and volumes of services are in use, with or without tasks, and so are waiting tasks', async () => {
  await initSwarm()
  await load(['web', 'previous', 'unused'].map((name) => oldImage(name)))
  for (const name of ['data', 'lonely']) await docker('volume', 'create', name)
  const mount = ['--mount', 'type=volume,source=data,target=/data']
  await service('web', 'previous:1', '--replicas', '0', ...mount)
  await docker(
    ...['service', 'update', '--detach', '--quiet', '--no-resolve-image'],
    ...['--image', 'web:1', 'web']
  )
  // It exits at once, and the next task waits to start.
  await service('job', 'busybox:1', '--restart-delay', '1h')
  await untilStates(/created.*exited|exited.*created/)

  const done = await step(withVolumes)

  for (const name of ['web:1', 'previous:1', 'data'])
    expect(resource(done, name)).toMatchObject(inUse)
  expect(resource(done, 'web:1').detail).toBe('used by swarm service web')
  const left = await contents()
  expect(left.references).toEqual(['busybox:1', 'previous:1', 'web:1'])
  expect(left.volumes).toEqual(['data'])
  expect((await states()).map((one) => one.split(' ')[1])).toEqual(['created'])
  await docker('swarm', 'leave', '--force')
})

createFacts(engine, it)(
  'F34',
  'services have events when they are created, updated and removed',
  `case "$1" in events) "$docker" "$@" | sed 's/"Type":"service"/"Type":"other"/'; exit ;; esac`,
  async (asked) => {
    await initSwarm()
    const since = (Date.now() / 1_000).toFixed(3)
    const readActions = async () => {
      const lines = await asked.docker(
        ...['events', '--since', since, '--filter', 'type=service'],
        ...['--until', (Date.now() / 1_000).toFixed(3)],
        ...['--format', eventFormat]
      )
      return readEvents(lines, { kind: 'docker' })
        .filter(({ type }) => type === 'service')
        .map(({ action }) => action)
    }
    const untilLogged = async (action: string) => {
      for (let tries = 0; tries < 20; tries += 1) {
        if ((await readActions()).includes(action)) return
        await sleep(50)
      }
    }
    try {
      await service('web', 'busybox:1', '--replicas', '0')
      await untilLogged('create')
      await docker(
        ...['service', 'update', '--detach', '--quiet', '--no-resolve-image'],
        ...['--label-add', 'updated=yes', 'web']
      )
      await untilLogged('update')
      await docker('service', 'rm', 'web')
      await untilLogged('remove')
      const actions = new Set(await readActions())
      expect([...actions]).toEqual(['create', 'update', 'remove'])
    } finally {
      await docker('swarm', 'leave', '--force')
    }
  }
)

/** Hooks that make the engine a worker of a swarm, or inactive, and mark `asked` if services are listed. */
const inSwarm = (state: string) => `
case "$1" in
info) "$docker" "$@" | sed 's/"LocalNodeState":"[^"]*"/"LocalNodeState":"${state}"/; s/"ControlAvailable":true/"ControlAvailable":false/'; exit ;;
service) mark asked ;;
esac`

it('on a worker, which cannot list services, images and volumes of tasks are kept, even of removed ones', async () => {
  await load([oldImage('app')])
  await docker('volume', 'create', 'data')
  const task = (command: string, name: string) =>
    docker(
      ...[command, '--network', 'none', '--name', name],
      ...['--label', `com.docker.swarm.task.id=${name}`],
      ...['--volume', 'data:/data', 'busybox:1', 'true']
    )
  await task('run', 'ran')
  await task('create', 'waits')
  const image = (await docker('commit', 'ran', 'task:1')).trim()
  await docker(
    'create',
    '--label',
    'com.docker.swarm.task.id=x',
    '--name',
    'of-image',
    image
  )
  const inputs = { ...withVolumes, 'protected-images': '' }

  const worker = await step({
    ...inputs,
    docker: await dockerThat(inSwarm('active'))
  })

  expect(resource(worker, 'waits')).toMatchObject(inUse)
  expect(resource(worker, 'ran').outcome).toBe('removed')
  for (const name of ['busybox:1', 'data', 'task:1'])
    expect(resource(worker, name)).toMatchObject(inUse)
  expect(resource(worker, 'app:1').outcome).toBe('removed')

  const left = await step({
    ...inputs,
    docker: await dockerThat(inSwarm('inactive'))
  })
  expect(left.exitCode).toBe(0)
  expect(await contents()).toMatchObject({ containers: [], volumes: [] })
  expect(await exists(join(folder(), 'asked'))).toBe(false)
})
