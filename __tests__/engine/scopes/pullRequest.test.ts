import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { without } from '../harness/contents.ts'
import { useEngine } from '../harness/engine.ts'
import { createPullRequests, project } from '../harness/pullRequests.ts'
import { resource } from '../harness/report.ts'
import { oldImage, polite } from '../harness/things.ts'

const tests = useEngine()
const { docker, load, build, create, run, contents, states } = tests
const { close, buildImage, preview } = createPullRequests(tests)
/** Ignores SIGTERM as the first process of a container, so it is killed after 10 s. */
const deaf = ['sleep', '600']

const snapshot = async () => ({
  ...(await contents()),
  states: await states()
})

test('closing pull request 1 of one repository removes exactly its resources', async () => {
  await preview('acme/web', 1)
  await preview('acme/web', 12)
  await preview('acme/api', 1)
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
  const before = await snapshot()

  const done = await close('acme/web', 1, { 'include-volumes': 'all' })

  expect(done.exitCode).toBe(0)
  const own = 'acme-web-pr-1'
  const goneImages = ['acme/web:pr-1', 'acme/web:pr-1-abc'].map(
    (name) => resource(done, name).id
  )
  expect(await snapshot()).toEqual({
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
    volumes: without(before.volumes, own)
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

test('running containers are stopped and removed, however they behave', async () => {
  await buildImage()
  await run('failing', '--restart', 'always', 'acme/web:pr-1', 'true')
  await run('deaf', 'acme/web:pr-1', ...deaf)
  await run('paused', 'acme/web:pr-1', ...deaf)
  await docker('pause', 'paused')
  await run('polite', '--restart', 'always', 'acme/web:pr-1', ...polite)
  for (const number of [1, 2, 3])
    await run(`passing-${number}`, '--rm', 'acme/web:pr-1', ...polite)
  await run('web', '--volume', '/data', 'busybox:1', ...deaf)
  // Docker waits longer before each restart.
  const restarts = ['inspect', '--format', '{{.RestartCount}}', 'failing']
  while (Number(await docker(...restarts)) < 5) await sleep(100)

  const done = await close('acme/web', 1)

  expect(done.exitCode).toBe(0)
  expect(done.outputs).toMatchObject({
    failed: '0',
    'removed-containers': '7',
    'removed-images': '1'
  })
  expect(await snapshot()).toMatchObject({
    states: ['web running'],
    references: ['busybox:1']
  })
  expect(done.summary).toMatch(
    /^## Reclaimed .* from pull request 1 of acme\/web in /
  )
  expect(done.summary).toContain('out-of-scope (`scope: pull-request`)')
  expect(done.summary).not.toContain('keep-last')
  expect(done.stdout).toContain('Scope: pull request 1 of acme/web')
  expect(done.stdout).toContain(
    'Ignored in this scope: keep-last: 3, until: 24h'
  )
  expect(done.stdout).toContain('running, stopped first')
  // Progress is logged while the deaf container is given 10 s to stop.
  expect(done.stdout).toMatch(/^… [5-9] s: 0 of 8 removals done, 0 B freed$/m)
})

test('resources used by others or protected are kept; a dry run reports the plan, and a second run finds nothing', async () => {
  await buildImage()
  await docker('tag', 'busybox:1', 'acme/web:x-pr-1')
  await docker('tag', 'busybox:1', 'acme/web:y-pr-1')
  await run('others', 'busybox:1', ...deaf)
  await run('kept', '--label', 'keep', 'acme/web:pr-1', ...polite)
  await docker('network', 'create', ...project('web-pr-1'), 'shared')
  await docker(
    ...['create', '--network', 'shared', '--name', 'waiting', 'busybox:1']
  )
  await docker('network', 'create', ...project('web-pr-1'), 'own')
  for (const number of [1, 2])
    await build(
      `FROM busybox:1
LABEL org.opencontainers.image.source=https://github.com/acme/web
LABEL org.opencontainers.image.version=pr-${number}
`
    )
  const before = await snapshot()

  const planned = await close('acme/web', 1, { 'dry-run': 'true' })
  expect(await snapshot()).toEqual(before)
  expect(planned.summary).toMatch(
    /^## Would reclaim .* from pull request 1 of acme\/web/
  )

  const done = await close('acme/web', 1)
  expect(done.exitCode).toBe(0)
  expect(done.outputs).toMatchObject({
    'removed-images': '1',
    'removed-containers': '0',
    'removed-networks': '1',
    'untagged-references': '0'
  })
  const left = await snapshot()
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
  expect(await snapshot()).toEqual(left)
})

test('a project belongs by the name that Compose derives from the repository folder', async () => {
  for (const name of ['siteio-pr-1', 'site-io-pr-1', 'site-pr-1'])
    await create(name, ...project(name), 'busybox:1', 'true')

  const done = await close('acme/Site.io', 1)

  expect(done.exitCode).toBe(0)
  expect((await contents()).containers).toEqual(['site-pr-1'])
})
