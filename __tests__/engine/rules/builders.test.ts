import { expect, test } from '@jest/globals'
import type { Step } from '../../../scripts/engines/step.ts'
import {
  allVolumes,
  createBuilders,
  nameOf,
  stateOf
} from '../harness/builders.ts'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'

const tests = useEngine()
const { docker, run, build, step, contents } = tests
const { start, makeStopped, attachClient } = createBuilders(tests)

const useVolume = (name: string, volume: string) =>
  run(name, '--volume', `${volume}:/data`, 'busybox:1', 'sleep', '600')

/** Not a builder: a hyphen replaces the last underscore of the prefix. */
const alike = 'buildx_buildkit-web'

async function fill(): Promise<void> {
  await build('FROM busybox:1\nLABEL buildkit=1\n', { tag: 'buildkit:1' })
  await docker('network', 'create', 'of-builder')
  await Promise.all([
    start('idle0', { image: 'buildkit:1', network: 'of-builder' }).then(() =>
      docker('exec', nameOf('idle0'), 'true')
    ),
    start('busy0').then(() => attachClient('busy0')),
    makeStopped('kept0', { label: 'keep' }),
    makeStopped('shared0').then(() => useVolume('reader', stateOf('shared0'))),
    useVolume('borrower', stateOf('lent0')),
    useVolume(alike, `${alike}_state`).then(() => docker('kill', alike)),
    makeRemovable()
  ])
}

/** Creates a stopped builder, and leftover state of another. */
async function makeRemovable(): Promise<void> {
  await makeStopped('stopped0')
  await docker('volume', 'create', stateOf('gone0'))
}

const decisionsOf = ({ report }: Step) =>
  report?.resources
    .filter(({ kind }) => kind === 'builder')
    .map(({ name, action, reason }) => ({ name, action, reason }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))

/** The expected contents: the given builders, leftover state, and the containers that use state. */
const left = (containers: string[], states: string[]) => ({
  containers: ['borrower', ...containers.map(nameOf), 'reader'],
  volumes: [...containers, ...states].map(stateOf).sort()
})

test('include-builders removes no, stopped, or all unused builders, together with what they need', async () => {
  await fill()
  const before = await contents()
  const inputs = (guard: string) => ({
    ...allVolumes,
    'include-builders': guard
  })
  const plan = (guard: string) => step({ ...inputs(guard), 'dry-run': 'true' })
  const [none, stopped, all] = await Promise.all([
    plan('false'),
    plan('stopped'),
    plan('all')
  ])
  expect(await contents()).toEqual(before)
  expect(resource(all, nameOf('idle0')).detail).toMatch(
    /^used by a client \d+ s ago; running without a client, stopped first$/
  )

  const first = await step(inputs('false'))
  expect(first.exitCode).toBe(0)
  expect(first.outputs).toMatchObject({
    'removed-builders': '0',
    'removed-containers': '1'
  })
  expect(decisionsOf(first)).toEqual(decisionsOf(none))
  expect(await contents()).toMatchObject(
    left(['busy0', 'idle0', 'kept0', 'shared0', 'stopped0'], ['gone0', 'lent0'])
  )

  const second = await step(inputs('stopped'))
  expect(second.exitCode).toBe(0)
  expect(second.outputs).toMatchObject({
    'removed-builders': '2',
    'removed-containers': '0'
  })
  expect(decisionsOf(second)).toEqual(decisionsOf(stopped))
  expect(await contents()).toMatchObject({
    ...left(['busy0', 'idle0', 'kept0', 'shared0'], ['lent0']),
    references: ['buildkit:1', 'busybox:1'],
    networks: ['of-builder']
  })

  await makeRemovable()
  const third = await step(inputs('all'))
  expect(third.exitCode).toBe(0)
  expect(third.outputs).toMatchObject({
    'removed-builders': '3',
    'removed-containers': '0',
    failed: '0'
  })
  expect(decisionsOf(third)).toEqual(decisionsOf(all))
  expect(await contents()).toMatchObject({
    ...left(['busy0', 'kept0', 'shared0'], ['lent0']),
    references: ['busybox:1'],
    networks: []
  })
  expect((await contents()).images).toHaveLength(1)
  expect(third.summary).toMatch(
    /Reclaimed .*: 1 image, 1 network, 3 builders\./
  )
  // Its size is that of its state.
  expect(resource(third, nameOf('idle0')).bytes).toBeGreaterThan(0)
  expect(resource(third, nameOf('busy0'))).toMatchObject({
    reason: 'in-use',
    detail: 'a client is connected'
  })
  // Running builders are checked twice, ten seconds apart.
  const { startedAt = '', finishedAt = '' } = third.report ?? {}
  expect(Date.parse(finishedAt) - Date.parse(startedAt)).toBeGreaterThan(10_000)
})
