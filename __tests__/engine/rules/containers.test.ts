import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { everything } from '../harness/things.ts'

const { docker, api, run, create, step, contents } = useEngine()
const kept = ['--label', 'keep', 'busybox:1', 'true']
const inUse = { action: 'keep', reason: 'in-use' }
const recent = { action: 'keep', reason: 'recent' }

const createNetwork = (name: string, labels = {}) =>
  api().post('/networks/create', { Name: name, Labels: labels })

const inNetwork = (
  command: string,
  network: string,
  name: string,
  ...args: string[]
) => docker(command, '--network', network, '--name', name, ...args)

test('running containers are kept; a kept container keeps the one it joins and its networks', async () => {
  for (const name of ['stopped', 'created', 'unused', 'leaving'])
    await createNetwork(`of-${name}`)
  await run('web', 'busybox:1', 'sleep', '600')
  await inNetwork('run', 'none', 'job', 'busybox:1', 'true')
  await create('new', 'busybox:1', 'true')
  await create('base', 'busybox:1', 'sleep', '600')
  await inNetwork('create', 'container:base', 'side', ...kept)
  await inNetwork('run', 'of-stopped', 'stopped', ...kept)
  await inNetwork('create', 'of-created', 'created', ...kept)
  await inNetwork('create', 'of-leaving', 'leaving', 'busybox:1', 'true')
  // With a network alias, Docker stores the network ID as typed.
  const id = (await docker('network', 'create', 'of-short')).slice(0, 12)
  await inNetwork('create', id, 'short', '--network-alias', 'db', ...kept)

  const done = await step(everything)

  const left = await contents()
  expect(left.containers).toEqual([
    ...['base', 'created', 'short', 'side', 'stopped', 'web']
  ])
  expect(left.networks).toEqual(['of-created', 'of-short', 'of-stopped'])
  expect(done.outputs['removed-containers']).toBe('3')
  for (const name of ['web', 'base'])
    expect(resource(done, name)).toMatchObject(inUse)
  expect(resource(done, 'host')).toMatchObject({
    action: 'keep',
    reason: 'built-in'
  })

  // All kept containers can be started.
  await docker('start', 'stopped', 'created', 'short', 'base', 'side')
  await docker('kill', 'base')
  await docker('wait', 'stopped', 'created', 'short', 'base', 'side')

  await step({ ...everything, 'protected-labels': 'other' })
  expect(await contents()).toMatchObject({ containers: ['web'], networks: [] })
})

test('networks and containers that never started are kept for their first ten minutes; exited containers are not', async () => {
  await createNetwork('net')
  await inNetwork('run', 'none', 'job', 'busybox:1', 'true')
  await create('new', 'busybox:1', 'true')

  const done = await step({ ...everything, until: '1ms' })

  expect((await contents()).containers).toEqual(['new'])
  for (const name of ['new', 'net'])
    expect(resource(done, name)).toMatchObject(recent)
})

test('resources that are not included are kept; a protected label applies to every kind, and only with its value', async () => {
  for (const [name, team] of Object.entries({ yes: 'web', no: 'api' })) {
    const label = `team=${team}`
    await create(name, '--label', label, 'busybox:1', 'true')
    await docker('commit', '--change', `LABEL ${label}`, name, `${name}:1`)
    await createNetwork(name, { team })
    await api().post('/volumes/create', { Name: name, Labels: { team } })
  }
  const all = await contents()

  const nothing = await step({
    ...{ 'keep-last': '0', until: '0s', 'include-containers': 'false' },
    ...{ 'include-images': 'false', 'include-networks': 'false' },
    'include-build-cache': 'false'
  })

  expect(nothing.outputs['skipped']).toBe('true')
  expect(await contents()).toEqual(all)

  const done = await step({
    ...everything,
    'include-volumes': 'all',
    'protected-labels': 'team=web'
  })

  expect(await contents()).toMatchObject({
    containers: ['yes'],
    networks: ['yes'],
    volumes: ['yes'],
    references: ['busybox:1', 'yes:1']
  })
  const reasons = done.report?.resources.filter(({ name }) => /^yes/.test(name))
  expect(reasons?.map(({ reason }) => reason)).toEqual(
    Array(4).fill('protected-label')
  )
})

test('a container is kept while another of its Compose project depends on it, or another of its pod runs', async () => {
  const compose = (service: string, dependsOn = '') => [
    ...['--label', 'com.docker.compose.project=shop'],
    ...['--label', `com.docker.compose.service=${service}`],
    ...['--label', `com.docker.compose.depends_on=${dependsOn}`]
  ]
  const pod = (uid: string) => ['--label', `io.kubernetes.pod.uid=${uid}`]
  const ran = (name: string, ...args: string[]) =>
    docker(
      'run',
      '--network',
      'none',
      '--name',
      name,
      ...args,
      'busybox:1',
      'true'
    )
  await ran('migrate', ...compose('migrate'))
  await ran('other', ...compose('other'))
  await ran('init', ...pod('1'))
  await ran('finished', ...pod('2'))
  const needs = 'migrate:service_completed_successfully:false'
  const sleeping = ['busybox:1', 'sleep', '600']
  await run('web', ...compose('web', needs), ...sleeping)
  await run('app', ...pod('1'), ...sleeping)

  const done = await step(everything)

  for (const name of ['migrate', 'init'])
    expect(resource(done, name)).toMatchObject(inUse)
  expect((await contents()).containers).toEqual([
    'app',
    'init',
    'migrate',
    'web'
  ])
})
