import { expect, test } from '@jest/globals'
import type { Docker } from '../../src/docker/cli.ts'
import { referencesToUntag, untag } from '../../src/removal/references.ts'
import { inventory, item } from '../builders.ts'

const digest = `sha256:${'a'.repeat(64)}`

test.each([
  [['app:1'], []],
  [['app:1', `app@${digest}`], []],
  [['app:1', 'app:2', `app@${digest}`], ['app:2']],
  [['app:1', 'web:1'], ['web:1']],
  [['app:1', `web@${digest}`], [`web@${digest}`]],
  [[`app@${digest}`, `app@${digest.replace('a', 'b')}`], []],
  [[`app@${digest}`, 'web:1'], [`app@${digest}`]],
  [[], []]
])('of %j, these are untagged first: %j', (references, expected) => {
  expect(referencesToUntag({ ...item('image', 'x'), references })).toEqual(
    expected
  )
})

test('a kept image loses only the references in the plan', () => {
  const untag = {
    action: 'untag',
    reason: 'expired',
    detail: '',
    removedReferences: ['app:1']
  } as const
  expect(
    referencesToUntag({
      ...item('image', 'x', { ...untag, removedReferences: ['app:1'] }),
      references: ['app:1', 'web:1']
    })
  ).toEqual(['app:1'])
})

test.each([
  [
    'Error response from daemon: conflict: container 1 is using its referenced image 2',
    { outcome: 'kept', reason: 'changed' }
  ],
  ['Error response from daemon: it is locked', { outcome: 'failed' }]
])('a reference that remains after: %s', async (stderr, fate) => {
  const { engine } = inventory()
  // The engine does not report whether it is still there.
  const docker: Docker = ([, command]) =>
    Promise.resolve({
      exitCode: 1,
      stdout: command === 'inspect' ? '[]' : '',
      stderr
    })
  const done: string[] = []
  const { failures } = await untag(
    docker,
    { ...engine, store: 'containerd' },
    { id: digest },
    ['app:1'],
    { isOver: () => false, onUntagged: (one) => done.push(one) }
  )
  expect(failures).toEqual([{ ...fate, detail: `app:1: ${stderr}` }])
  expect(done).toEqual([])
})

test('nothing is untagged once the step has to stop', async () => {
  const docker = () => Promise.reject(new Error('not to be called'))
  const tools = { isOver: () => true, onUntagged: () => undefined }
  expect(
    await untag(docker, inventory().engine, { id: digest }, ['app:1'], tools)
  ).toEqual({ failures: [], completed: false })
})
