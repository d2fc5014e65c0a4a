import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { execa } from 'execa'
import type { Step } from '../../scripts/step.ts'
import {
  dockerWith,
  findOtherClis,
  makeDockerConfig,
  onlyOnDocker,
  podman,
  resource,
  useEngine
} from './harness.ts'

// No image of BuildKit can be had here. What stands in for a builder is a container with the names, the volume and the
// restart policy that buildx gives to its own (one test has buildx make them), and a `docker exec` that lasts stands in
// for a build: buildx talks to its builders through just that.

const { docker, engine, build, step, contents } = useEngine()
const it = onlyOnDocker('removal of just the volume that it is told')
const everything = {
  'keep-last': '0',
  until: '0s',
  'protected-images': 'busybox',
  // Whatever the other guards say.
  'include-volumes': 'all',
  'include-build-cache': 'false'
}
const nameOf = (node: string) => `buildx_buildkit_${node}`
const stateOf = (node: string) => `${nameOf(node)}_state`

type Parts = { image?: string; network?: string; label?: string }

/** Starts a builder that ends when it is told to. */
async function startBuilder(
  node: string,
  { image = 'busybox:1', network = 'none', label = 'none' }: Parts = {}
): Promise<void> {
  const options = ['--name', nameOf(node), '--network', network]
  const volume = ['--volume', `${stateOf(node)}:/var/lib/buildkit`]
  const rest = ['--restart', 'unless-stopped', '--label', label, image]
  const ends = 'trap "exit 0" TERM; while :; do sleep 0.2; done'
  const command = ['sh', '-c', `echo state >/var/lib/buildkit/file; ${ends}`]
  await docker('run', '--detach', ...options, ...volume, ...rest, ...command)
}

async function makeStopped(node: string, parts?: Parts): Promise<void> {
  await startBuilder(node, parts)
  await docker('stop', nameOf(node))
}

/** Starts a container that uses a volume. */
const useVolume = (name: string, volume: string) =>
  docker(
    ...['run', '--detach', '--network', 'none', '--name', name],
    ...['--volume', `${volume}:/data`, 'busybox:1', 'sleep', '600']
  )

const attachClient = (node: string) =>
  docker('exec', '--detach', nameOf(node), 'sleep', '600')

/** How long a run took. */
function millisecondsOf({ report }: Step): number {
  const { startedAt = '', finishedAt = '' } = report ?? {}
  return Date.parse(finishedAt) - Date.parse(startedAt)
}

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'builders-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})
const dockerThat = (hooks: string) => dockerWith(engine(), folder, hooks)

const all = ['busy0', 'idle0', 'kept0', 'shared0', 'stopped0']

test.each([
  ['false', { containers: all, states: [...all, 'gone0', 'lent0'] }],
  [
    'stopped',
    {
      containers: ['busy0', 'idle0', 'kept0', 'shared0'],
      states: ['busy0', 'idle0', 'kept0', 'lent0', 'shared0']
    }
  ],
  [
    'all',
    {
      containers: ['busy0', 'kept0', 'shared0'],
      states: ['busy0', 'kept0', 'lent0', 'shared0']
    }
  ]
])('include-builders: %s', async (guard, left) => {
  await makeStopped('stopped0')
  await startBuilder('idle0')
  await docker('exec', nameOf('idle0'), 'true')
  await startBuilder('busy0')
  await attachClient('busy0')
  await makeStopped('kept0', { label: 'keep' })
  await makeStopped('shared0')
  await useVolume('reader', stateOf('shared0'))
  await docker('volume', 'create', stateOf('gone0'))
  await docker('volume', 'create', stateOf('lent0'))
  await useVolume('borrower', stateOf('lent0'))
  // Called alike, and nothing of buildx.
  const alike = 'buildx_buildkit-web'
  await useVolume(alike, `${alike}_state`)
  await docker('kill', alike)
  const before = await contents()

  const planned = await step({
    ...everything,
    'include-builders': guard,
    'dry-run': 'true'
  })
  expect(await contents()).toEqual(before)
  const done = await step({ ...everything, 'include-builders': guard })

  const stays = podman
    ? { containers: all, states: [...all, 'gone0', 'lent0'] }
    : left
  expect(done.exitCode).toBe(0)
  expect(await contents()).toMatchObject({
    containers: [...stays.containers.map(nameOf), 'borrower', 'reader'].sort(),
    volumes: [
      ...stays.states.map(stateOf),
      ...(podman ? [`${alike}_state`] : [])
    ].sort()
  })
  const gone = [...all, 'gone0'].filter((node) => !stays.states.includes(node))
  expect(done.outputs['removed-builders']).toBe(String(gone.length))
  expect(done.outputs['removed-containers']).toBe('1')
  for (const { kind, id, action, reason } of planned.report?.resources ?? [])
    if (kind === 'builder')
      expect(resource(done, id)).toMatchObject({ action, reason })
  if (guard !== 'all' || podman) return
  expect(resource(planned, nameOf('idle0')).detail).toMatch(
    /^used by a client \d+ s ago; it has no client now, and is stopped first$/
  )
  expect(resource(done, nameOf('busy0'))).toMatchObject({
    reason: 'in-use',
    detail: 'a client is attached'
  })
  // Two looks, ten seconds apart.
  expect(millisecondsOf(done)).toBeGreaterThan(10_000)
})

it('what buildx itself makes is such a builder', async () => {
  await build('FROM busybox:1\nLABEL buildkit=1\n', { tag: 'buildkit:1' })
  const { new: command, buildx } = await findOtherClis()
  const env = {
    DOCKER_HOST: engine().host,
    DOCKER_CONFIG: await makeDockerConfig(folder, { plugin: buildx })
  }
  const driver = ['--driver', 'docker-container', '--driver-opt']
  const options = [...driver, 'image=buildkit:1,network=none', '--bootstrap']
  // It asks what it has made who it is, and there is nobody in it to answer.
  const { stderr } = await execa(
    command,
    ['buildx', 'create', '--name', 'Some.One', ...options],
    { env, reject: false }
  )
  expect(stderr).toContain(`creating container ${nameOf('some.one0')}`)
  await docker('stop', nameOf('some.one0'))
  expect(await contents()).toMatchObject({
    containers: [nameOf('some.one0')],
    volumes: [stateOf('some.one0')]
  })

  const done = await step({ ...everything, 'include-builders': 'stopped' })

  expect(done.outputs).toMatchObject({
    'removed-builders': '1',
    'removed-containers': '0',
    'removed-images': '1'
  })
  expect(await contents()).toMatchObject({ containers: [], volumes: [] })
})

it('what a builder needed goes with it, in the same run', async () => {
  const image = await build('FROM busybox:1\nLABEL buildkit=1\n', {
    tag: 'buildkit:1'
  })
  await docker('network', 'create', 'of-builder')
  await startBuilder('idle0', { image: 'buildkit:1', network: 'of-builder' })

  const done = await step({ ...everything, 'include-builders': 'all' })

  expect(done.exitCode).toBe(0)
  expect(await contents()).toMatchObject({
    containers: [],
    references: ['busybox:1'],
    networks: [],
    volumes: []
  })
  expect((await contents()).images).not.toContain(image)
  expect(done.outputs).toMatchObject({ 'removed-builders': '1', failed: '0' })
  // Its state is what it held.
  expect(resource(done, nameOf('idle0')).bytes).toBeGreaterThan(0)
  expect(done.summary).toMatch(/Reclaimed .*: 1 image, 1 network, 1 builder in/)
})

it('a builder that is used or started anew between the two looks stays, with its state', async () => {
  for (const node of ['idle0', 'late0', 'visited0', 'restarted0'])
    await startBuilder(node)
  // The second time that containers are listed is the second look.
  const command = await dockerThat(`
case "$1 $2" in "container ls") [ "$(count calls)" = 2 ] && {
  $docker exec --detach ${nameOf('late0')} sleep 600
  $docker exec ${nameOf('visited0')} true
  $docker restart -t 1 ${nameOf('restarted0')} >/dev/null
} ;; esac`)

  const done = await step({
    ...everything,
    'include-builders': 'all',
    concurrency: '1',
    docker: command
  })

  expect(done.exitCode).toBe(0)
  const left = ['late0', 'restarted0', 'visited0']
  expect(await contents()).toMatchObject({
    containers: left.map(nameOf),
    volumes: left.map(stateOf)
  })
  expect(
    await docker('container', 'ls', '--quiet', '--filter', 'status=running')
  ).not.toBe('')
  for (const node of left)
    expect(resource(done, nameOf(node))).toMatchObject({
      outcome: 'kept',
      reason: 'changed'
    })
  expect(resource(done, nameOf('late0')).detail).toContain('client')
  expect(resource(done, nameOf('visited0')).detail).toContain('client')
})

it('a builder whose container cannot be removed keeps its state, and so does one whose state is taken meanwhile', async () => {
  await makeStopped('cursed0')
  await makeStopped('taken0')
  const id = await docker('inspect', '--format', '{{.Id}}', nameOf('cursed0'))
  const command = await dockerThat(`
case "$1 $2 $*" in
"container rm "*${id}*) echo 'Error response from daemon: driver failed' >&2; exit 1 ;;
"volume rm "*) once $docker create --name user --volume ${stateOf('taken0')}:/data busybox:1 ;;
esac`)

  const done = await step({
    ...everything,
    'include-builders': 'stopped',
    docker: command
  })

  expect(done.exitCode).toBe(1)
  expect(await contents()).toMatchObject({
    containers: [nameOf('cursed0'), 'user'],
    volumes: [stateOf('cursed0'), stateOf('taken0')]
  })
  expect(resource(done, nameOf('cursed0'))).toMatchObject({
    outcome: 'failed',
    detail: expect.stringContaining('driver failed')
  })
  expect(resource(done, nameOf('taken0'))).toMatchObject({
    outcome: 'kept',
    reason: 'changed',
    detail: expect.stringContaining('its container has gone')
  })
})

it('two runs at once do no harm, and report no failure', async () => {
  for (const node of ['a0', 'b0', 'c0']) await makeStopped(node)
  await startBuilder('d0')
  const inputs = { ...everything, 'include-builders': 'all' }

  const runs = await Promise.all([step(inputs), step(inputs)])

  for (const { exitCode, outputs } of runs)
    expect({ exitCode, failed: outputs['failed'] }).toEqual({
      exitCode: 0,
      failed: '0'
    })
  expect((await contents()).containers).toEqual([])
  await step({ ...everything, 'include-builders': 'stopped' })
  expect((await contents()).volumes).toEqual([])
})

it('a builder that runs is left alone when the time does not reach for its end, and when the run is cancelled', async () => {
  await startBuilder('idle0')
  const inputs = { ...everything, 'include-builders': 'all' }

  // The plan is there when the run asks for sizes.
  const planned = join(folder, 'planned')
  const asksForSizes = (hook: string) =>
    dockerThat(
      `case "$1 $2 $3" in "container inspect --size") date +%s%3N >${planned}; ${hook} ;; esac`
    )
  const sincePlan = async ({ report }: Step) =>
    Date.parse(report?.finishedAt ?? '') -
    Number(await readFile(planned, 'utf8'))

  // The second look would come in time, but not the end of the builder.
  const late = await step({
    ...inputs,
    timeout: '15s',
    docker: await asksForSizes(':')
  })

  expect(late.exitCode).toBe(0)
  expect(resource(late, nameOf('idle0'))).toMatchObject({
    outcome: 'kept',
    reason: 'budget'
  })
  // It does not wait for the second look.
  expect(await sincePlan(late)).toBeLessThan(9_000)

  const cancelled = await step({
    ...inputs,
    docker: await asksForSizes('(sleep 2; kill -INT $PPID) >/dev/null 2>&1 &')
  })

  expect(cancelled.exitCode).toBe(1)
  expect(await sincePlan(cancelled)).toBeLessThan(9_000)
  expect(
    await docker('container', 'ls', '--format', '{{.Names}} {{.State}}')
  ).toBe(`${nameOf('idle0')} running`)
  expect((await contents()).volumes).toEqual([stateOf('idle0')])
})
