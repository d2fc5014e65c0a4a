import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { oldImage, podman, resource, useEngine } from './harness.ts'

const { docker, load, build, step, contents } = useEngine()
const scope = { scope: 'pull-request' }
/** One that does not end by itself when it is told to. */
const forever = ['sleep', '600']

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
