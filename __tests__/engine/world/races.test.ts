import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { exists } from '../../../scripts/engines/packages.ts'
import type { Step } from '../../../scripts/engines/step.ts'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { onStream } from '../harness/standIn.ts'
import { containerd, onlyOnDocker, podman, root } from '../harness/target.ts'
import { everything, idOf, oldImage, oldImages } from '../harness/things.ts'

const tests = useEngine()
const { api, docker, engine, load, build, create, step } = tests
const { contents, states, folder, dockerThat } = tests

const withVolumes = { ...everything, 'include-volumes': 'all' }
/** What is left only on Podman, such as its own network and named volumes, which its API removes by a prefix. */
const onPodman = (...names: string[]) => (podman ? names : [])
const stays = ['--label', 'keep=true']

async function readMajor(): Promise<number> {
  const { Version } = await api().get<{ Version: string }>('/version')
  return Number.parseInt(Version, 10)
}

const trustsEvents = async () => !podman && (await readMajor()) >= 23

/** Expects that the step succeeded, trusted the event stream to its end, and kept these because of a change. */
function expectKept(done: Step, ...names: string[]): void {
  expect(done).toMatchObject({ exitCode: 0, outputs: { failed: '0' } })
  expect(done.stdout).not.toContain('Lost the engine')
  for (const name of names)
    expect(resource(done, name)).toMatchObject({
      outcome: 'kept',
      reason: 'changed'
    })
}

test('an image tagged between the listing and the start of the stream is kept', async () => {
  await load([oldImage('app'), oldImage('other')])
  const listed = '"$(dirname "$0")/listed"'
  const command = await dockerThat(`
    ${onStream(`while [ ! -e ${listed} ]; do sleep 0.02; done`)}
    tag_once() { mkdir ${listed}.tagged && $docker tag app:1 app:new && mark listed; }
    before_removal "$@" && tag_once
    [ "$1 $2" != 'system df' ] || tag_once`)

  const done = await step({ ...everything, docker: command })

  expectKept(done, 'app:1')
  expect((await contents()).references).toEqual([
    'app:1',
    'app:new',
    'busybox:1'
  ])
})

test.each([
  [
    'tagged with its own tag',
    (id: string) => `tag ${id} late:${podman ? 2 : 1}`
  ],
  ['tagged', (id: string) => `tag ${id} new:1`],
  ['used by a container', (id: string) => `create --network none ${id} true`]
])(
  'an image whose turn has not come when it is %s is kept, and the others of its batch go',
  async (_, change) => {
    await load([...oldImages(7), oldImage('late')])
    const late = await idOf(docker, 'late:1')
    // The engine has removed three of them. Without a stream the call ends, and has not removed the others.
    const command = await dockerThat(`
      case "$1 $2" in "image rm") [ "$(count rm)" = 1 ] && {
        shift 4; $docker image rm --no-prune -- $1 $2 $3
        $docker ${change(late)} >/dev/null
        sleep 5; mark slept; exit 1; } ;; esac`)

    const done = await step({
      ...everything,
      concurrency: '1',
      docker: command
    })

    expectKept(done, late)
    expect(done.outputs['removed-images']).toBe('7')
    expect((await contents()).images).toEqual(
      [late, await idOf(docker, 'busybox:1')].sort()
    )
    expect(await exists(join(folder(), 'slept'))).toBe(!(await trustsEvents()))
  }
)

test('a Compose project that is started during the removal keeps its image, network and volume', async () => {
  await load([oldImage('other')])
  await build('FROM busybox:1\nLABEL of=shop\n', { tag: 'shop:1' })
  for (const name of ['shop', 'other']) {
    await docker('network', 'create', name)
    await docker('volume', 'create', name)
  }
  const command = await dockerThat(`
    before_removal "$@" && $docker create --name shop --network shop --volume shop:/data shop:1 sleep 600 >/dev/null
    case "$1 $2" in "image rm") once $docker start shop ;; esac`)

  const done = await step({ ...withVolumes, docker: command })

  expectKept(done, 'shop:1')
  expect(await states()).toEqual(['shop running'])
  const { references, networks, volumes } = await contents()
  expect(references).toEqual(['busybox:1', 'shop:1'])
  expect(networks).toEqual(['shop', ...onPodman('podman')].sort())
  expect(volumes).toEqual([...onPodman('other'), 'shop'])
})

test('a stopped container that a new one takes volumes or the network from is kept', async () => {
  for (const name of ['donor', 'gateway', 'idle'])
    await create(name, '--volume', `of-${name}:/data`, 'busybox:1', 'true')
  const command = await dockerThat(`before_removal "$@" && {
    $docker create --network none --name heir --volumes-from donor busybox:1 true
    $docker create --name guest --network container:gateway busybox:1 true; } >/dev/null`)

  const done = await step({ ...withVolumes, docker: command })

  expectKept(done, 'donor', 'gateway')
  expect(await contents()).toMatchObject({
    containers: ['donor', 'gateway', 'guest', 'heir'],
    volumes: ['of-donor', 'of-gateway', ...onPodman('of-idle')]
  })
})

test('a stopped container that is renamed to what another takes volumes from is kept', async () => {
  for (const name of ['donor', 'planned', 'idle'])
    await create(name, ...(name === 'donor' ? stays : []), 'busybox:1', 'true')
  await create('heir', ...stays, '--volumes-from', 'donor', 'busybox:1', 'true')
  const command = await dockerThat(`before_removal "$@" && {
    $docker rename donor former; $docker rename planned donor; }`)

  const done = await step({
    ...everything,
    'protected-labels': 'keep=true',
    docker: command
  })

  expectKept(done, 'planned')
  expect((await contents()).containers).toEqual(['donor', 'former', 'heir'])
})

onlyOnDocker('image mounts')(
  'an image that a new container mounts is kept, from Docker 28 on',
  async () => {
    await load([oldImage('app'), oldImage('other')])
    const mount = ['--mount', 'type=image,source=app:1,target=/mnt']
    if ((await readMajor()) < 28) {
      await expect(create('user', ...mount, 'busybox:1')).rejects.toThrow(
        'type'
      )
      return
    }
    const command = await dockerThat(
      `before_removal "$@" && $docker create --network none ${mount.join(' ')} busybox:1 true >/dev/null`
    )

    const done = await step({ ...everything, docker: command })

    expectKept(done, 'app:1')
    expect((await contents()).references).toEqual(['app:1', 'busybox:1'])
  }
)

test('a network that a stopped container is connected to, which makes no event, is kept', async () => {
  for (const name of ['net', 'own', 'other'])
    await docker('network', 'create', name)
  await docker(
    'create',
    '--name',
    'web',
    '--network',
    'own',
    ...stays,
    'busybox:1',
    'true'
  )
  const command = await dockerThat(
    'before_removal "$@" && $docker network connect net web'
  )

  const done = await step({
    ...everything,
    'protected-labels': 'keep=true',
    docker: command
  })

  expectKept(done, 'net')
  expect(resource(done, 'other').outcome).toBe('removed')
  expect((await contents()).networks).toEqual(
    ['net', 'own', ...onPodman('podman')].sort()
  )
})

const makeDangling = () => build('FROM busybox:1\nLABEL has=no-tag\n')

onlyOnDocker('events without a delay')(
  'an untagged image that gets a tag is kept',
  async () => {
    const id = await makeDangling()
    await load([oldImage('other')])
    const command = await dockerThat(
      `before_removal "$@" && $docker tag ${id} first:1`
    )

    const done = await step({ ...everything, docker: command })

    expectKept(done, id)
    expect((await contents()).references).toEqual(['busybox:1', 'first:1'])
  }
)

if (containerd)
  test('an untagged image that gets a tag by containerd’s own tool, which makes no event, is kept', async () => {
    const id = await makeDangling()
    await load([oldImage('other')])
    const ctr = `${root ?? ''}/usr/bin/ctr --address ${engine().folder}/containerd.sock --namespace moby`
    const command = await dockerThat(
      `before_removal "$@" && ${ctr} images tag moby-dangling@${id} docker.io/library/first:1 >/dev/null`
    )

    const done = await step({ ...everything, docker: command })

    expectKept(done, id)
    expect((await contents()).references).toEqual(['busybox:1', 'first:1'])
  })

test('a new container that cannot be inspected may need anything, so everything is kept', async () => {
  await load([oldImage('app')])
  await docker('network', 'create', 'net')
  await docker('volume', 'create', 'data')
  const stranger = '"$(dirname "$0")/stranger"'
  // The engine's answer while a container is being created or removed.
  const command = await dockerThat(`
    before_removal "$@" && $docker create --network none --name stranger busybox:1 true >${stranger}
    case "$1 $2 $*" in "container inspect "*$(cat ${stranger} 2>/dev/null || echo none)*)
      echo '[]'; echo 'Error response from daemon: layer does not exist' >&2; exit 1 ;; esac`)

  const done = await step({ ...withVolumes, docker: command })

  expectKept(done, 'app:1', 'net', ...(podman ? [] : ['data']))
  expect(resource(done, 'app:1').detail).toContain('cannot be inspected')
})
