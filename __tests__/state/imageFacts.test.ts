import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { factsFile, readFacts, writeFacts } from '../../src/state/imageFacts.ts'
import { image, now } from '../builders.ts'

const key = { endpoint: 'unix:///a', rootDir: '/data', store: 'containerd' }
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'facts-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

test('image facts are restored, whatever the label names', async () => {
  const labels = Object.fromEntries([
    ['__proto__', 'x'],
    ['keep', '']
  ])
  const full = image('sha256:a', {
    ...{ labels, parent: 'sha256:b', taggedAt: now, packedBytes: 3 },
    references: ['app:1']
  })
  const bare = image('sha256:b', { parent: undefined, createdAt: undefined })
  const written = new Map([
    ['sha256:a', { image: full, layerSizes: [1, 2] }],
    ['sha256:b', { image: bare }],
    ['sha256:c', { layerSizes: [3] }]
  ])
  await writeFacts(folder, key, written)
  const read = await readFacts(folder, key)
  expect(read).toEqual(
    new Map([
      [
        'sha256:a',
        { image: { ...full, remembered: true }, layerSizes: [1, 2] }
      ],
      ['sha256:b', { image: { ...bare, remembered: true } }],
      ['sha256:c', { layerSizes: [3] }]
    ])
  )
  expect(Object.keys(read.get('sha256:a')?.image?.labels ?? {})).toEqual([
    '__proto__',
    'keep'
  ])
})

test('facts that are broken, or of another engine or image, are ignored', async () => {
  expect(await readFacts(folder, key)).toEqual(new Map())
  const file = factsFile(folder, key)
  const facts = new Map([['sha256:a', { image: image('sha256:b') }]])
  await writeFacts(folder, key, facts)
  expect((await readFacts(folder, key)).get('sha256:a')?.image).toBeUndefined()
  const text = await readFile(file, 'utf8')
  for (const broken of [
    text.slice(0, -9),
    text.replace('"version":1', '"version":2'),
    text.replace('unix:///a', 'unix:///b'),
    text.replace('"labels":{', '"labels":3,"x":{')
  ]) {
    await writeFile(file, broken)
    expect(await readFacts(folder, key)).toEqual(new Map())
  }
})
