import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import {
  dockerWith,
  oldImage,
  onlyOnDocker,
  parentOf,
  podman,
  resource,
  useEngine
} from './harness.ts'

const { docker, engine, load, build, step, contents } = useEngine()
const everything = {
  'keep-last': '0',
  until: '0s',
  'protected-images': 'busybox',
  'include-build-cache': 'false'
}
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'changes-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

// Podman's events come a while after what they tell of.
const it = onlyOnDocker('events that come at once')
const dockerThat = (hooks: string) => dockerWith(engine(), folder, hooks)

test('an image that gets another tag at the last moment stays', async () => {
  await load([oldImage('app'), oldImage('other')])
  const command = await dockerThat(
    'case "$1 $2" in "image rm") once $docker tag app:1 app:release ;; esac'
  )

  const done = await step({ ...everything, docker: command })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'app:1')).toMatchObject({
    action: 'remove',
    outcome: 'kept',
    reason: 'changed'
  })
  expect(resource(done, 'other:1').outcome).toBe('removed')
  expect((await contents()).references).toEqual([
    'app:1',
    'app:release',
    'busybox:1'
  ])
})

test('a tag that moves to a new image at the last moment stays there', async () => {
  await load([oldImage('app')])
  const command = await dockerThat(
    'case "$1 $2" in "image rm") once $docker tag busybox:1 app:1 ;; esac'
  )

  const done = await step({ ...everything, docker: command })

  expect(done.exitCode).toBe(0)
  expect((await contents()).references).toEqual(['app:1', 'busybox:1'])
})

test('a tag of several that moves before it is taken off stays where it is', async () => {
  await load([oldImage('app')])
  await docker('tag', 'app:1', 'mirror:1')
  const command = await dockerThat(
    'case "$1 $2" in "image rm"|"image inspect") [ "$(count calls)" = 3 ] && $docker tag busybox:1 mirror:1 ;; esac'
  )

  const done = await step({ ...everything, docker: command })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'app:1').outcome).toBe('removed')
  expect((await contents()).references).toEqual(['busybox:1', 'mirror:1'])
  expect(
    await docker('image', 'inspect', '--format', '{{.Id}}', 'mirror:1')
  ).toBe(await docker('image', 'inspect', '--format', '{{.Id}}', 'busybox:1'))
})

test('what a new container needs stays: image, network and volumes', async () => {
  await load([oldImage('app')])
  await docker('network', 'create', 'net')
  await docker('volume', 'create', 'data')
  // After the listing of the plan, before the one right before the first batch.
  const command = await dockerThat(
    'case "$1 $2" in "container ls") [ "$(count calls)" = 2 ] && $docker create --name new --network net --volume data:/data app:1 true >/dev/null ;; esac'
  )

  const done = await step({
    ...everything,
    'include-volumes': 'all',
    docker: command
  })

  expect(done.exitCode).toBe(0)
  expect(await contents()).toMatchObject({
    containers: ['new'],
    networks: ['net'],
    volumes: ['data'],
    references: ['app:1', 'busybox:1']
  })
  for (const name of ['net', ...(podman ? [] : ['data']), 'app:1'])
    expect(resource(done, name)).toMatchObject({
      outcome: 'kept',
      reason: 'changed'
    })
})

test('a container that is started meanwhile stays, and all that it needs', async () => {
  await docker('network', 'create', 'net')
  await docker(
    'create',
    '--name',
    'job',
    '--network',
    'net',
    '--volume',
    '/data',
    'busybox:1',
    'sleep',
    '600'
  )
  const command = await dockerThat(
    'case "$1 $2" in "container ls") [ "$(count calls)" = 2 ] && $docker start job >/dev/null ;; esac'
  )

  const done = await step({
    ...everything,
    'include-volumes': 'all',
    docker: command
  })

  expect(done.exitCode).toBe(0)
  expect(await docker('container', 'ls', '--format', '{{.Names}}')).toBe('job')
  expect(resource(done, 'job')).toMatchObject({
    outcome: 'kept',
    reason: 'changed'
  })
  expect(resource(done, 'net')).toMatchObject({
    outcome: 'kept',
    reason: 'changed'
  })
  expect((await contents()).volumes).toHaveLength(1)
})

test('what somebody else removed meanwhile is gone, and no failure', async () => {
  await load([oldImage('app')])
  await docker('network', 'create', 'net')
  const command = await dockerThat(
    'case "$1 $2" in "image rm") once $docker image rm app:1 ;; "network rm") $docker network rm net >/dev/null ;; esac'
  )

  const done = await step({ ...everything, docker: command })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'app:1').outcome).toBe('gone')
  expect(resource(done, 'net').outcome).toBe('gone')
  expect(done.outputs['failed']).toBe('0')
})

test('a removal that fails for no known reason fails the step, after all others were done', async () => {
  await load([oldImage('app'), oldImage('cursed'), oldImage('other')])
  const id = await docker('image', 'inspect', '--format', '{{.Id}}', 'cursed:1')
  // The engine itself cannot be made to fail like that: the words are those of a broken layer store.
  const command = await dockerThat(`
case "$1 $2 $*" in "image rm "*${id}*)
  for last in "$@"; do case $last in sha256:*) [ $last = ${id} ] || $docker image rm --no-prune $last ;; esac; done
  echo 'Error response from daemon: layer store is broken: ::error::oops' >&2
  exit 1 ;;
esac`)

  const done = await step({ ...everything, docker: command })

  expect(done.exitCode).toBe(1)
  expect(resource(done, 'cursed:1')).toMatchObject({ outcome: 'failed' })
  expect(resource(done, 'cursed:1').detail).toContain('layer store is broken')
  expect(done.outputs).toMatchObject({ failed: '1', 'removed-images': '2' })
  expect(done.summary).toContain('layer store is broken')
  expect(done.stdout).toMatch(/^::error::1 planned removal failed/m)
  expect((await contents()).references).toEqual(['busybox:1', 'cursed:1'])
})

test('when the time is up the step stops cleanly, and says what was not done', async () => {
  await load(Array.from({ length: 40 }, (_, index) => oldImage(`app-${index}`)))
  const command = await dockerThat(
    `case "$1 $2" in
    "container ls") [ -e ${folder}/began ] || date +%s >${folder}/began ;;
    "image rm") sleep 1.5; [ "$(count calls)" = 1 ] || while [ "$(date +%s)" -le $(($(cat ${folder}/began) + 14)) ]; do sleep 0.1; done ;; esac`
  )

  const done = await step({
    ...everything,
    concurrency: '1',
    // The second batch is under way when that is over.
    timeout: '14s',
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
      `^::warning::The time was up .*${late.length} planned removals? not done`,
      'm'
    )
  )
  expect(done.processesLeft).toEqual([])
})

test('a cancelled run stops, and still says what it did', async () => {
  await load(Array.from({ length: 40 }, (_, index) => oldImage(`app-${index}`)))
  // The runner sends SIGINT to the process of the step.
  const command = await dockerThat(
    'case "$1 $2" in "image rm") [ "$(count calls)" = 2 ] && kill -INT $PPID; sleep 0.3 ;; esac'
  )

  const done = await step({ ...everything, concurrency: '1', docker: command })

  expect(done.exitCode).toBe(1)
  expect(done.stdout).not.toContain('The time was up')
  expect(done.summary).toContain('cancelled')
  expect(Number(done.outputs['removed-images'])).toBeGreaterThan(0)
  expect(Number(done.outputs['removed-images'])).toBeLessThan(40)
  expect((await contents()).references).toHaveLength(
    41 - Number(done.outputs['removed-images'])
  )
})

/** The first call of `container inspect` for the plan is let through; then one container cannot be inspected. */
test('a container that cannot be inspected stays, with all that it needs', async () => {
  await load([oldImage('app')])
  await docker('network', 'create', 'net')
  await docker('volume', 'create', 'data')
  await docker(
    'create',
    '--name',
    'stuck',
    '--network',
    'net',
    '--volume',
    'data:/data',
    'app:1',
    'true'
  )
  // As the engine answers while a container is being removed, beside one that has just gone.
  const command = await dockerThat(`case "$1 $2" in "container inspect")
    echo '[]'; echo 'Error: No such container: 0123' >&2
    echo 'Error response from daemon: layer does not exist: snapshot x not found' >&2; exit 1 ;; esac`)

  const done = await step({
    ...everything,
    'include-volumes': 'all',
    docker: command
  })

  expect(done.exitCode).toBe(0)
  expect(await contents()).toMatchObject({
    containers: ['stuck'],
    networks: ['net'],
    volumes: ['data'],
    references: ['app:1', 'busybox:1']
  })
  expect(resource(done, 'stuck').detail).toContain('cannot be inspected')
  await docker('start', 'stuck').catch((error: unknown) => {
    expect(String(error)).not.toContain('network')
  })
})

test('an image that cannot be inspected is left alone, and said to be', async () => {
  await load([oldImage('app'), oldImage('broken')])
  const id = await docker('image', 'inspect', '--format', '{{.Id}}', 'broken:1')
  const command = await dockerThat(`case "$1 $2 $*" in "image inspect "*${id}*)
    others=$(for one in "$@"; do case $one in sha256:*) [ $one = ${id} ] || echo $one ;; esac; done)
    if [ -n "$others" ]; then $docker image inspect $others; else echo '[]'; fi
    echo 'Error response from daemon: content digest ${id}: not found' >&2; exit 1 ;; esac`)

  const done = await step({ ...everything, docker: command })

  expect(done.exitCode).toBe(0)
  expect(done.stdout).toContain(
    `::warning::The engine cannot tell of image ${id}`
  )
  expect((await contents()).references).toEqual(['broken:1', 'busybox:1'])
})

test('a parent stays where its child stays after all', async () => {
  await build('FROM busybox:1\nLABEL step=1\nLABEL step=2\n', {
    tag: 'child:1'
  })
  const parent = await parentOf(docker, 'child:1')
  const command = await dockerThat(
    'case "$1 $2" in "container ls") [ "$(count calls)" = 2 ] && $docker create --name new --network none child:1 true >/dev/null ;; esac'
  )

  const done = await step({
    ...everything,
    'protected-images': '',
    docker: command
  })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'child:1')).toMatchObject({
    outcome: 'kept',
    reason: 'changed'
  })
  expect(resource(done, parent)).toMatchObject({
    outcome: 'kept',
    reason: 'changed'
  })
  expect((await contents()).images).toContain(parent)
})

it('an image whose last tag is renewed while its others come off stays', async () => {
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
    detail: expect.stringMatching(/taken off: .*mirror:1$/)
  })
  expect((await contents()).references).toEqual(['app:1', 'busybox:1'])
})

test('of several tags the one that does not come off is named in the failure, and those that are off', async () => {
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
    /mirror:2: Error response from daemon: it is locked; taken off: .*mirror:1/
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

test('an image that cannot be removed after its other tags are off is a failure, and so are words of another error', async () => {
  await load([oldImage('app'), oldImage('other')])
  await docker('tag', 'app:1', 'mirror:1')
  const id = await docker('image', 'inspect', '--format', '{{.Id}}', 'app:1')
  const command = await dockerThat(`case "$1 $2 $*" in "image rm "*" ${id}"*)
    echo 'Error response from daemon: unlinkat /layer: no such file or directory' >&2; exit 1 ;; esac`)

  const done = await step({ ...everything, concurrency: '1', docker: command })

  expect(done.exitCode).toBe(1)
  expect(resource(done, 'app:1')).toMatchObject({
    outcome: 'failed',
    removedReferences: ['mirror:1'],
    detail: expect.stringMatching(
      /no such file or directory; taken off: .*mirror:1$/
    )
  })
  expect(resource(done, 'other:1')).toMatchObject({ outcome: 'removed' })
  expect(done.outputs).toMatchObject({
    failed: '1',
    'untagged-references': '1'
  })
})

test('what a call had removed before it was cut off is removed, and only the rest has failed', async () => {
  await load(Array.from({ length: 8 }, (_, index) => oldImage(`app-${index}`)))
  const command = await dockerThat(
    'case "$1 $2" in "image rm") shift 4; $docker image rm --no-prune $1 $2 $3; kill -INT $PPID; sleep 20 ;; esac'
  )

  const done = await step({ ...everything, concurrency: '1', docker: command })

  expect(done.exitCode).toBe(1)
  expect(done.outputs).toMatchObject({ 'removed-images': '3', failed: '5' })
})

test('a build cache that takes too long to list is left to the builder, and a version that hangs is not waited for', async () => {
  await load([oldImage('app')])
  const command = await dockerThat(
    `case "$1 $2" in "buildx du") sleep 60 ;; "--version ") sleep 300 ;; esac`
  )
  const start = Date.now()

  const done = await step({
    ...everything,
    'include-build-cache': 'true',
    docker: command
  })

  expect(done.exitCode).toBe(0)
  expect(Date.now() - start).toBeLessThan(50_000)
  expect(resource(done, 'app:1').outcome).toBe('removed')
})

test('long work shows signs of life', async () => {
  await load([oldImage('app')])
  const command = await dockerThat(
    'case "$1 $2" in "image rm") sleep 6 ;; esac'
  )
  const done = await step({ ...everything, docker: command })
  expect(done.stdout).toMatch(
    /^… [5-9] s: 0 resources done, 1 left, 0 B so far$/m
  )
})
