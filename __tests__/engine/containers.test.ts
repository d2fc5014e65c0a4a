import { expect, test } from '@jest/globals'
import { ownNetwork, podman, resource, useEngine } from './harness.ts'

const { docker, step, contents } = useEngine()
const everything = {
  'keep-last': '0',
  until: '0s',
  'protected-images': 'busybox'
}
const none = ['--network', 'none']

test('only containers that are not running go', async () => {
  await docker(
    'run',
    '--detach',
    ...none,
    '--name',
    'web',
    'busybox:1',
    'sleep',
    '600'
  )
  await docker('run', ...none, '--name', 'job', 'busybox:1', 'true')
  await docker('create', ...none, '--name', 'new', 'busybox:1', 'true')

  const done = await step(everything)

  expect((await contents()).containers).toEqual(['web'])
  expect(resource(done, 'web')).toMatchObject({
    action: 'keep',
    reason: 'in-use'
  })
  expect(done.outputs['removed-containers']).toBe('2')
})

test('a container that never started stays for its first ten minutes, one that has ended does not', async () => {
  await docker('run', ...none, '--name', 'job', 'busybox:1', 'true')
  await docker('create', ...none, '--name', 'new', 'busybox:1', 'true')

  const done = await step({ ...everything, until: '1ms' })

  expect((await contents()).containers).toEqual(['new'])
  expect(resource(done, 'new')).toMatchObject({
    action: 'keep',
    reason: 'recent'
  })
})

test('a container stays while one that joined its network stays', async () => {
  await docker(
    'run',
    '--detach',
    ...none,
    '--name',
    'base',
    'busybox:1',
    'sleep',
    '600'
  )
  await docker(
    'create',
    '--network',
    'container:base',
    '--name',
    'side',
    '--label',
    'keep',
    'busybox:1',
    'true'
  )
  await docker('kill', 'base')

  const done = await step(everything)
  expect(resource(done, 'base')).toMatchObject({
    action: 'keep',
    reason: 'in-use'
  })
  await docker('start', 'base')
  await docker('start', 'side')
  await docker('kill', 'base')

  await step({ ...everything, 'protected-labels': 'other' })
  expect((await contents()).containers).toEqual([])
})

test('a network stays with a stopped or a created container, which then starts', async () => {
  await docker('network', 'create', 'of-stopped')
  await docker('network', 'create', 'of-created')
  await docker('network', 'create', 'of-nobody')
  await docker('network', 'create', 'of-leaving')
  await docker(
    'run',
    '--network',
    'of-stopped',
    '--name',
    'stopped',
    '--label',
    'keep',
    'busybox:1',
    'true'
  )
  await docker(
    'create',
    '--network',
    'of-created',
    '--name',
    'created',
    '--label',
    'keep',
    'busybox:1',
    'true'
  )
  await docker(
    'create',
    '--network',
    'of-leaving',
    '--name',
    'leaving',
    'busybox:1',
    'true'
  )
  // With more than the network alone, Docker keeps the ID as it was typed.
  const id = await docker('network', 'create', 'of-short')
  await docker(
    ...['create', '--network', id.slice(0, 12), '--network-alias', 'db'],
    ...['--name', 'short', '--label', 'keep', 'busybox:1', 'true']
  )

  const done = await step(everything)

  const left = await contents()
  expect(left.networks).toEqual(['of-created', 'of-short', 'of-stopped'])
  expect(left.containers).toEqual(['created', 'short', 'stopped'])
  expect(resource(done, ownNetwork)).toMatchObject({
    action: 'keep',
    reason: 'built-in'
  })
  await docker('start', '--attach', 'stopped')
  await docker('start', '--attach', 'created')
  await docker('start', '--attach', 'short')
})

test('a network stays for its first ten minutes', async () => {
  await docker('network', 'create', 'new')
  const done = await step({ ...everything, until: '1ms' })
  expect(resource(done, 'new')).toMatchObject({
    action: 'keep',
    reason: 'recent'
  })
})

test('a protected label protects whatever carries it, and only that value', async () => {
  for (const [name, label] of [
    ['yes', 'team=web'],
    ['no', 'team=api']
  ] as const) {
    await docker(
      'create',
      ...none,
      '--name',
      name,
      '--label',
      label,
      'busybox:1',
      'true'
    )
    await docker('network', 'create', '--label', label, name)
    await docker('volume', 'create', '--label', label, name)
    await docker('commit', '--change', `LABEL ${label}`, name, `${name}:1`)
  }

  const done = await step({
    ...everything,
    'include-volumes': 'all',
    'protected-labels': 'team=web'
  })

  expect(await contents()).toMatchObject({
    containers: ['yes'],
    networks: ['yes'],
    // Podman's named volumes stay anyway.
    volumes: podman ? ['no', 'yes'] : ['yes'],
    references: ['busybox:1', 'yes:1']
  })
  const reasons = done.report?.resources.filter(({ name }) =>
    /(?:^|\/)yes/.test(name)
  )
  expect(reasons?.map(({ reason }) => reason)).toEqual(
    Array(4).fill('protected-label')
  )
})

test('containers, images and networks that are not included stay', async () => {
  await docker('create', ...none, '--name', 'new', 'busybox:1', 'true')
  await docker('network', 'create', 'unused')
  await docker('tag', 'busybox:1', 'app:1')

  const done = await step({
    'keep-last': '0',
    until: '0s',
    'include-containers': 'false',
    'include-images': 'false',
    'include-networks': 'false',
    'include-build-cache': 'false'
  })

  expect(done.outputs['skipped']).toBe('true')
  expect(await contents()).toMatchObject({
    containers: ['new'],
    networks: ['unused'],
    references: ['app:1', 'busybox:1']
  })
})
