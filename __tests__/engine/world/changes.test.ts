import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { withoutStream } from '../harness/standIn.ts'
import { busySeconds, onlyOnDocker, podman } from '../harness/target.ts'
import {
  everything,
  idOf,
  oldImage,
  oldImages,
  parentOf
} from '../harness/things.ts'

const tests = useEngine()
const { docker, folder, load, build, states } = tests
const { step, contents, dockerThat } = tests
// Podman's events arrive late.
const it = onlyOnDocker('events without a delay')

const changed = { action: 'remove', outcome: 'kept', reason: 'changed' }

test('images tagged, moved or removed by others right before a removal stay as others left them', async () => {
  await load(
    ['app', 'other', 'moved', 'vanished'].map((name) => oldImage(name))
  )
  await docker('network', 'create', 'net')
  // The step ends its call as soon as it hears of the moved tag.
  const command = await dockerThat(`
    before_removal "$@" && $docker tag app:1 app:release
    meanwhile() { $docker image rm vanished:1; $docker tag busybox:1 moved:1; }
    case "$1 $2" in "image rm") once meanwhile ;; "network rm") $docker network rm net >/dev/null ;; esac`)

  const done = await step({ ...everything, docker: command })

  expect(done.exitCode).toBe(0)
  expect(done.outputs['failed']).toBe('0')
  expect(resource(done, 'app:1')).toMatchObject(changed)
  expect(resource(done, 'other:1').outcome).toBe('removed')
  for (const name of ['vanished:1', 'net'])
    expect(resource(done, name).outcome).toBe('gone')
  expect(await contents()).toMatchObject({
    references: ['app:1', 'app:release', 'busybox:1', 'moved:1']
  })
  expect(await idOf(docker, 'moved:1')).toBe(await idOf(docker, 'busybox:1'))
})

test('a tag that moves before it is untagged stays on the other image', async () => {
  await load([oldImage('app')])
  await docker('tag', 'app:1', 'mirror:1')
  const command = await dockerThat(
    `${withoutStream}
    case "$1 $2 $*" in "image inspect "*mirror:1*|"image rm "*mirror:1@*) once $docker tag busybox:1 mirror:1 ;; esac`
  )

  const done = await step({ ...everything, docker: command })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'app:1').outcome).toBe('removed')
  expect((await contents()).references).toEqual(['busybox:1', 'mirror:1'])
  expect(await idOf(docker, 'mirror:1')).toBe(await idOf(docker, 'busybox:1'))
})

test('containers created or started during the run are kept, with everything they need', async () => {
  await load([oldImage('app')])
  await build('FROM busybox:1\nLABEL step=1\nLABEL step=2\n', {
    tag: 'child:1'
  })
  const parent = await parentOf(docker, 'child:1')
  for (const name of ['net', 'net-of-job'])
    await docker('network', 'create', name)
  await docker('volume', 'create', 'data')
  await docker(
    ...['create', '--name', 'job', '--network', 'net-of-job'],
    ...['--volume', '/data', 'busybox:1', 'sleep', '600']
  )
  const command = await dockerThat(`before_removal "$@" && {
    $docker start job
    $docker create --name new --network net --volume data:/data app:1 true
    $docker create --name of-child --network none child:1 true; } >/dev/null`)

  const done = await step({
    ...{ ...everything, 'include-volumes': 'all', 'protected-images': '' },
    docker: command
  })

  expect(done.exitCode).toBe(0)
  expect(await states()).toEqual([
    'job running',
    'new created',
    'of-child created'
  ])
  const { images, networks, references, volumes } = await contents()
  expect(networks).toEqual(expect.arrayContaining(['net', 'net-of-job']))
  expect(volumes).toHaveLength(2)
  expect(volumes).toContain('data')
  expect(references).toEqual(['app:1', 'busybox:1', 'child:1'])
  expect(images).toContain(parent)
  const needed = ['job', 'net', 'net-of-job', 'app:1', 'child:1', parent]
  for (const name of [...needed, ...(podman ? [] : ['data'])])
    expect(resource(done, name)).toMatchObject(changed)
})

test('removals that fail for unknown reasons fail the step after all others are done, even if other tags were untagged', async () => {
  await load([oldImage('app'), oldImage('cursed'), oldImage('other')])
  await docker('tag', 'app:1', 'mirror:1')
  const [app, cursed] = await Promise.all(
    ['app:1', 'cursed:1'].map((name) => idOf(docker, name))
  )
  // A real engine cannot be made to fail like this; the messages are those of broken layer stores.
  const command = await dockerThat(`
    fail() { failed=1; echo "Error response from daemon: $*" >&2; }
    case "$1 $2" in "image rm")
      for one; do
        shift
        case $one in
        ${cursed}) fail layer store is broken: ::error::oops ;;
        ${app}) fail unlinkat /layer: no such file or directory ;;
        *) set -- "$@" "$one" ;;
        esac
      done
      [ -z "$failed" ] || { [ $# = 4 ] || $docker "$@"; exit 1; }
    esac`)

  const done = await step({ ...everything, docker: command })

  expect(done.exitCode).toBe(1)
  expect(resource(done, 'cursed:1')).toMatchObject({
    outcome: 'failed',
    detail: expect.stringContaining('layer store is broken')
  })
  expect(resource(done, 'app:1')).toMatchObject({
    outcome: 'failed',
    removedReferences: ['mirror:1'],
    detail: expect.stringMatching(
      /no such file or directory; untagged: .*mirror:1$/
    )
  })
  expect(resource(done, 'other:1').outcome).toBe('removed')
  expect(done.outputs).toMatchObject({
    failed: '2',
    'removed-images': '1',
    'untagged-references': '1'
  })
  expect(done.summary).toContain('layer store is broken')
  expect(done.stdout).toMatch(/^::error::2 planned removals failed/m)
  expect((await contents()).references).toEqual([
    'app:1',
    'busybox:1',
    'cursed:1'
  ])
})

test('at the timeout the step stops cleanly, and reports what was not done', async () => {
  await load(oldImages(40))
  // The timeout is reached during the second batch. The first one is slow, so that the second is not the last.
  const command = await dockerThat(`began=${folder()}/began
    [ -e $began ] || date +%s%3N >$began
    case "$1 $2" in "image rm") sleep 1
    [ "$(count calls)" = 1 ] || while [ "$(date +%s%3N)" -lt $(($(cat $began) + ${busySeconds}000)) ]; do sleep 0.05; done ;; esac`)

  const done = await step({
    ...everything,
    concurrency: '1',
    timeout: `${busySeconds}s`,
    docker: command
  })

  expect(done.exitCode).toBe(0)
  const late =
    done.report?.resources.filter(({ reason }) => reason === 'budget') ?? []
  expect(late.length).toBeGreaterThan(0)
  expect(Number(done.outputs['removed-images'])).toBe(40 - late.length)
  expect(Number(done.outputs['removed-images'])).toBeGreaterThan(0)
  expect((await contents()).references).toHaveLength(late.length + 1)
  expect(done.stdout).toMatch(
    new RegExp(
      `^::warning::The timeout of .* was reached: ${late.length} planned removals? not done`,
      'm'
    )
  )
  expect(done.processesLeft).toEqual([])
})

test('a cancelled run stops, and still reports what it did', async () => {
  await load(oldImages(40))
  // The runner sends SIGINT to the step's process. The first batch is slow, so that the second is not the last.
  const command = await dockerThat(
    'case "$1 $2" in "image rm") if [ "$(count calls)" = 1 ]; then sleep 1; else kill -INT $PPID; fi ;; esac'
  )

  const done = await step({ ...everything, concurrency: '1', docker: command })

  expect(done.exitCode).toBe(1)
  expect(done.stdout).not.toContain('The timeout of')
  expect(done.summary).toContain('cancelled')
  expect(Number(done.outputs['removed-images'])).toBeGreaterThan(0)
  expect(Number(done.outputs['removed-images'])).toBeLessThan(40)
  expect((await contents()).references).toHaveLength(
    41 - Number(done.outputs['removed-images'])
  )
})

test('images removed before a call was interrupted count as removed, and only the rest as failed', async () => {
  await load(oldImages(8))
  const command = await dockerThat(
    'case "$1 $2" in "image rm") shift 4; $docker image rm --no-prune $1 $2 $3; kill -INT $PPID; sleep 20 ;; esac'
  )

  const done = await step({ ...everything, concurrency: '1', docker: command })

  expect(done.exitCode).toBe(1)
  expect(done.outputs).toMatchObject({ 'removed-images': '3', failed: '5' })
})

test('resources that cannot be inspected are kept and reported, with everything they need', async () => {
  await load(['app', 'broken', 'other'].map((name) => oldImage(name)))
  await docker('network', 'create', 'net')
  await docker('volume', 'create', 'data')
  await docker(
    ...['create', '--name', 'stuck', '--network', 'net'],
    ...['--volume', 'data:/data', 'app:1', 'true']
  )
  const id = await idOf(docker, 'broken:1')
  // The engine's answer while one container is being removed and another has just been.
  const command = await dockerThat(`case "$1 $2 $*" in
    "container inspect "*)
      echo '[]'; echo 'Error: No such container: 0123' >&2
      echo 'Error response from daemon: layer does not exist: snapshot x not found' >&2; exit 1 ;;
    "image inspect "*${id}*)
      others=$(for one in "$@"; do case $one in sha256:*) [ $one = ${id} ] || echo $one ;; esac; done)
      if [ -n "$others" ]; then $docker image inspect $others; else echo '[]'; fi
      echo 'Error response from daemon: content digest ${id}: not found' >&2; exit 1 ;;
    esac`)

  const done = await step({
    ...everything,
    'include-volumes': 'all',
    docker: command
  })

  expect(done.exitCode).toBe(0)
  expect(await contents()).toMatchObject({
    containers: ['stuck'],
    networks: expect.arrayContaining(['net']),
    volumes: ['data'],
    references: ['app:1', 'broken:1', 'busybox:1']
  })
  for (const name of ['stuck', 'broken:1'])
    expect(resource(done, name).reason).toBe('unreadable')
  expect(done.stdout).toMatch(
    /^::warning::Kept image (\S*broken:1): cannot be inspected; to remove: docker image rm \1$/m
  )
  expect(resource(done, 'other:1').outcome).toBe('removed')
  await docker('start', 'stuck').catch((error: unknown) => {
    expect(String(error)).not.toContain('network')
  })
})

it('an image whose last tag is renewed while the others are untagged is kept', async () => {
  await load([oldImage('app')])
  await docker('tag', 'app:1', 'mirror:1')
  const command = await dockerThat(
    'case "$1 $2 $*" in "image rm "*mirror:1*) once $docker tag app:1 app:1 ;; esac'
  )

  const done = await step({ ...everything, docker: command })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'app:1')).toMatchObject({
    outcome: 'kept',
    reason: 'changed',
    removedReferences: ['mirror:1'],
    detail: expect.stringMatching(/untagged: .*mirror:1$/)
  })
  expect((await contents()).references).toEqual(['app:1', 'busybox:1'])
})

test('the failure names the tag that could not be untagged, and those that were', async () => {
  await load([oldImage('app')])
  for (const tag of [1, 2])
    await docker('tag', 'app:1', `localhost/mirror:${tag}`)
  const newer = {
    references: ['localhost/mirror:3'],
    created: '2024-06-01T12:00:00Z'
  }
  await load([{ ...oldImage('mirror', 2_000), ...newer }])
  const command = await dockerThat(`case "$1 $2 $*" in "image rm "*mirror:2*)
    echo 'Error response from daemon: it is locked' >&2; exit 1 ;; esac`)

  const done = await step({
    ...everything,
    'keep-last': '1',
    docker: command
  })

  const words =
    /mirror:2: Error response from daemon: it is locked; untagged: .*mirror:1/
  expect(done.exitCode).toBe(1)
  expect(resource(done, 'app:1')).toMatchObject({
    outcome: 'failed',
    removedReferences: ['mirror:1'],
    detail: expect.stringMatching(words)
  })
  expect(done.stdout).toMatch(new RegExp(`^::error::.*${words.source}`, 'm'))
  expect(done.summary).toMatch(
    /\| image \| `.*app:1, .*mirror:1, .*mirror:2` \|/
  )
  expect((await contents()).references.join()).not.toContain('mirror:1')
})
