import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { dockerWith, oldImage, podman, resource, useEngine } from './harness.ts'

const { docker, engine, load, build, step, contents } = useEngine()
const scope = { scope: 'pull-request' }
/** As the first process of a container it does not end when it is told to: it is killed after 10 s. */
const forever = ['sleep', '600']
/** It ends as soon as it is told to. */
const polite = [
  'sh',
  '-c',
  'trap "exit 0" TERM; while true; do sleep 0.1; done'
]

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pull-request-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

/** The step as it runs when a pull request of a repository was closed. */
async function close(
  repository: string,
  number: number,
  inputs: Record<string, string> = {}
) {
  const payload = join(folder, 'event.json')
  await writeFile(payload, JSON.stringify({ pull_request: { number } }))
  return step(
    { ...scope, ...inputs },
    {
      GITHUB_EVENT_NAME: 'pull_request',
      GITHUB_EVENT_PATH: payload,
      GITHUB_REPOSITORY: repository
    }
  )
}

/** The engine's listings, with the states of the containers. */
async function everything() {
  const states = await docker(
    ...['container', 'ls', '--all', '--format', '{{.Names}} {{.State}}']
  )
  return { ...(await contents()), states: states.split('\n').sort() }
}

const project = (name: string) => [
  '--label',
  `com.docker.compose.project=${name}`
]

async function run(name: string, ...args: string[]): Promise<void> {
  await docker(
    ...['run', '--detach', '--network', 'none', '--name', name, ...args]
  )
}

const buildImage = () =>
  build('FROM busybox:1\nLABEL made.for=web\n', { tag: 'acme/web:pr-1' })

const dockerThat = (hooks: string) => dockerWith(engine(), folder, hooks)

/** A preview of a pull request as compose would make it: an image of its own, a running container, a network, a volume. */
async function preview(repository: string, number: number): Promise<void> {
  const [owner = '', name = ''] = repository.split('/')
  const image = `${repository}:pr-${number}`
  const own = `${owner}-${name}-pr-${number}`
  await build(`FROM busybox:1\nLABEL made.for=${own}\n`, { tag: image })
  await docker('network', 'create', ...project(own), own)
  await docker('volume', 'create', ...project(own), own)
  const mount = ['--volume', `${own}:/data`]
  await docker(
    ...['run', '--detach', '--network', own, ...mount, ...project(own)],
    ...['--name', `${own}-app`, '--restart', 'always', image, ...forever]
  )
  // A service with an image of others.
  await docker(
    ...['run', '--network', own, ...project(own), '--name', `${own}-job`],
    ...['busybox:1', 'true']
  )
}

test('closing 1 in one repository takes exactly that', async () => {
  for (const repository of ['acme/web', 'acme/api'])
    for (const number of [1, 12]) await preview(repository, number)
  await load([
    oldImage('base'),
    { ...oldImage('both'), references: ['acme/web:main', 'web:x-pr-1'] },
    {
      ...oldImage('several'),
      references: ['ghcr.io/acme/web/worker:pr-1', 'acme/web:pr-1-abc']
    },
    { ...oldImage('theirs'), references: ['other/web:pr-1', 'acme/webs:pr-1'] },
    {
      ...oldImage('by label'),
      references: ['preview:pr-1', 'preview:1'],
      labels: {
        'org.opencontainers.image.source':
          'https://git.example.com/Acme/Web.git'
      }
    },
    {
      ...oldImage('of others by label'),
      references: ['acme/web:pr-1-fork'],
      labels: {
        'org.opencontainers.image.source': 'https://github.com/acme/fork'
      }
    }
  ])
  const before = await everything()

  const done = await close('acme/web', 1, { 'include-volumes': 'all' })

  expect(done.exitCode).toBe(0)
  const without = (all: string[], ...gone: string[]) => {
    expect(all).toEqual(expect.arrayContaining(gone))
    return all.filter((one) => !gone.includes(one))
  }
  const own = 'acme-web-pr-1'
  const goneImages = ['acme/web:pr-1', 'acme/web:pr-1-abc'].map(
    (name) => resource(done, name).id
  )
  expect(await everything()).toEqual({
    containers: without(before.containers, `${own}-app`, `${own}-job`),
    states: without(before.states, `${own}-app running`, `${own}-job exited`),
    images: without(before.images, ...goneImages),
    references: without(
      before.references,
      'acme/web:pr-1',
      'acme/web:pr-1-abc',
      'ghcr.io/acme/web/worker:pr-1',
      'preview:pr-1',
      'web:x-pr-1'
    ),
    networks: without(before.networks, own),
    volumes: podman ? before.volumes : without(before.volumes, own)
  })
  expect(resource(done, `${own}-app`)).toMatchObject({
    outcome: 'removed',
    reason: 'pull-request'
  })
  expect(resource(done, 'acme/web:main')).toMatchObject({
    action: 'untag',
    reason: 'pull-request',
    removedReferences: ['web:x-pr-1']
  })
  expect(resource(done, 'acme/api:pr-1')).toMatchObject({
    action: 'keep',
    reason: 'out-of-scope'
  })
})

test('running ones are stopped and removed, whatever they do', async () => {
  await buildImage()
  await run('deaf', 'acme/web:pr-1', ...forever)
  await run('polite', '--restart', 'always', 'acme/web:pr-1', ...polite)
  for (const number of [1, 2, 3])
    await run(`passing-${number}`, '--rm', 'acme/web:pr-1', ...polite)
  await run('web', '--volume', '/data', 'busybox:1', ...forever)
  // Podman cannot stop what is paused.
  if (!podman) {
    await run('paused', 'acme/web:pr-1', ...forever)
    await docker('pause', 'paused')
  }
  await run('failing', '--restart', 'always', 'acme/web:pr-1', 'true')
  // Docker waits ever longer before it starts it again.
  const restarts = ['inspect', '--format', '{{.RestartCount}}', 'failing']
  while (Number(await docker(...restarts)) < 5) await sleep(100)

  const done = await close('acme/web', 1)

  expect(done.exitCode).toBe(0)
  expect(done.outputs).toMatchObject({
    failed: '0',
    'removed-containers': podman ? '6' : '7',
    'removed-images': '1'
  })
  expect(await everything()).toMatchObject({
    states: ['web running'],
    references: ['busybox:1']
  })
  expect(done.summary).toMatch(
    /^## Reclaimed .* of pull request 1 of acme\/web: /
  )
  expect(done.summary).toContain('out-of-scope (`scope: pull-request`)')
  expect(done.summary).not.toContain('keep-last')
  expect(done.stdout).toContain('Scope: pull request 1 of acme/web')
  expect(done.stdout).toContain('Off in this scope: keep-last: 3, until: 24h')
  expect(done.stdout).toContain('it is running, and is stopped first')
})

test('what the engine itself starts again and again is stopped and removed', async () => {
  await buildImage()
  const short = ['sh', '-c', 'trap "exit 0" TERM; sleep 2 & wait']
  await run('failing', '--restart', 'always', 'acme/web:pr-1', ...short)
  // Both the look of the plan and the one right before the stop see it run, each after another start.
  const command = await dockerThat(`
    started() { $docker inspect --format '{{.State.StartedAt}}' failing; }
    case "$1 $2 $3" in "container inspect --") [ "$(count looks)" -gt 2 ] || {
    last=$(started); while [ "$(started)" = "$last" ]; do sleep 0.1; done; } ;; esac`)

  const done = await close('acme/web', 1, { docker: command })

  expect(done.exitCode).toBe(0)
  for (const name of ['failing', 'acme/web:pr-1'])
    expect(resource(done, name).outcome).toBe('removed')
  expect((await everything()).states).toEqual([''])
})

test('what runs again although it was stopped is stopped once more', async () => {
  await buildImage()
  await run('web', 'acme/web:pr-1', ...polite)
  // As Podman does in the moment between an end and the next start.
  const command = await dockerThat(`
    case "$1 $2" in "container stop") [ "$(count stops)" -gt 2 ] || {
    for id; do :; done; echo "$id"; exit; } ;; esac`)

  const done = await close('acme/web', 1, { docker: command })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'web').outcome).toBe('removed')
  expect((await everything()).states).toEqual([''])
})

test('what somebody starts again while another one is stopped once more stays', async () => {
  await buildImage()
  for (const name of ['one', 'two']) await run(name, 'acme/web:pr-1', ...polite)
  const command = await dockerThat(`
    case "$1 $2" in "container stop") for id; do :; done
    case $(count stops) in
    1) while [ "$1" != -- ]; do shift; done; shift; printf '%s\\n' "$@"; exit ;;
    2) for other in $($docker ps --quiet --no-trunc); do [ $other = $id ] || $docker restart $other >/dev/null; done ;;
    esac ;; esac`)

  const done = await close('acme/web', 1, { docker: command })

  expect(done.exitCode).toBe(0)
  const fates = ['one', 'two'].map((name) => resource(done, name).outcome)
  expect(fates.sort()).toEqual(['kept', 'removed'])
  expect((await everything()).states).toEqual([
    expect.stringMatching(/ running$/)
  ])
})

test('one that is started again or made anew meanwhile stays, with all that it needs', async () => {
  await buildImage()
  await run('restarted', 'acme/web:pr-1', ...polite)
  await run('replaced', 'acme/web:pr-1', ...polite)
  await run('web', 'acme/web:pr-1', ...polite)
  // After the listing of the plan, before the one right before the stop.
  const command =
    await dockerThat(`case "$1 $2" in "container ls") [ "$(count calls)" = 2 ] && {
    $docker restart restarted; $docker rm --force replaced
    $docker run --detach --network none --name replaced acme/web:pr-1 sleep 600; } >/dev/null ;; esac`)

  const done = await close('acme/web', 1, { docker: command })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'restarted')).toMatchObject({
    outcome: 'kept',
    reason: 'changed'
  })
  expect(resource(done, 'replaced').outcome).toBe('gone')
  expect(resource(done, 'acme/web:pr-1')).toMatchObject({
    outcome: 'kept',
    reason: 'changed'
  })
  expect((await everything()).states).toEqual([
    'replaced running',
    'restarted running'
  ])
})

test('one that cannot be stopped is a failure, and stays with all that it needs', async () => {
  await buildImage()
  await docker('network', 'create', ...project('web-pr-1'), 'net')
  for (const name of ['stuck', 'web'])
    await docker(
      ...['run', '--detach', '--network', 'net', '--name', name],
      ...['acme/web:pr-1', ...polite]
    )
  const id = await docker('inspect', '--format', '{{.Id}}', 'stuck')
  // As the engine says of a process that the kernel does not let go.
  const command = await dockerThat(`case "$1 $2 $*" in "container stop "*${id}*)
    for one in "$@"; do case $one in ${id}) ;; ????????????????????????????????*) $docker stop $one ;; esac; done
    echo 'Error response from daemon: cannot stop container: ${id}: tried to kill container, but did not receive an exit event' >&2
    exit 1 ;; esac`)

  const done = await close('acme/web', 1, { docker: command })

  expect(done.exitCode).toBe(1)
  expect(resource(done, 'stuck')).toMatchObject({
    outcome: 'failed',
    detail: expect.stringContaining('did not receive an exit event')
  })
  for (const name of ['net', 'acme/web:pr-1'])
    expect(resource(done, name)).toMatchObject({
      outcome: 'kept',
      reason: 'changed'
    })
  expect((await everything()).states).toEqual(['stuck running'])
})

test('what others use and what is protected stays; a dry run says what would go, and a second run finds nothing', async () => {
  await buildImage()
  await docker('tag', 'busybox:1', 'acme/web:x-pr-1')
  await docker('tag', 'busybox:1', 'acme/web:y-pr-1')
  await run('others', 'busybox:1', ...forever)
  await run('kept', '--label', 'keep', 'acme/web:pr-1', ...polite)
  await docker('network', 'create', ...project('web-pr-1'), 'shared')
  await docker(
    ...['create', '--network', 'shared', '--name', 'waiting', 'busybox:1'],
    ...forever
  )
  await docker('network', 'create', ...project('web-pr-1'), 'own')
  for (const number of [1, 2])
    await build(
      `FROM busybox:1
LABEL org.opencontainers.image.source=https://github.com/acme/web
LABEL org.opencontainers.image.version=pr-${number}
`
    )
  const before = await everything()

  const planned = await close('acme/web', 1, { 'dry-run': 'true' })
  expect(await everything()).toEqual(before)
  expect(planned.summary).toMatch(
    /^## Would reclaim .* of pull request 1 of acme\/web/
  )

  const done = await close('acme/web', 1)
  expect(done.exitCode).toBe(0)
  expect(done.outputs).toMatchObject({
    'removed-images': '1',
    'removed-containers': '0',
    'removed-networks': '1',
    'untagged-references': '0'
  })
  const left = await everything()
  expect({ ...left, images: [], networks: [] }).toEqual({
    ...before,
    ...{ images: [], networks: [] }
  })
  expect(left.images).toHaveLength(before.images.length - 1)
  expect(left.networks).toEqual(before.networks.filter((one) => one !== 'own'))
  for (const [name, reason] of [
    ['kept', 'protected-label'],
    ['acme/web:pr-1', 'in-use'],
    ['acme/web:x-pr-1', 'in-use'],
    ['shared', 'in-use'],
    ['others', 'out-of-scope']
  ] as const)
    expect(resource(done, name)).toMatchObject({ action: 'keep', reason })

  const again = await close('acme/web', 1)
  expect(again.outputs['skipped']).toBe('true')
  expect(again.summary).toContain(
    'Nothing to do for pull request 1 of acme/web'
  )
  expect(await everything()).toEqual(left)
})

test('no stop begins when the time is about to be up', async () => {
  await buildImage()
  await run('web', 'acme/web:pr-1', ...polite)

  const command = await dockerThat(
    'case "$1 $2" in "container ls") [ "$(count calls)" = 1 ] && sleep 9.5 ;; esac'
  )

  const done = await close('acme/web', 1, { timeout: '14s', docker: command })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'web')).toMatchObject({
    outcome: 'kept',
    reason: 'budget'
  })
  expect(done.stdout).toMatch(/^::warning::The time was up/m)
  expect((await everything()).states).toEqual(['web running'])
})
