import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  writeFile
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { ledgerFile } from '../../src/ledger.ts'
import {
  fillers,
  oldImage,
  onlyOnDocker,
  resource,
  useEngine
} from './harness.ts'

const { docker, engine, load, step, contents } = useEngine()
// Podman has no safe removal of named volumes, and no log that forgets soon.
const it = onlyOnDocker(
  'safe removal of named volumes, and no log that forgets soon'
)
const everything = {
  'keep-last': '0',
  'protected-images': 'busybox',
  'include-build-cache': 'false',
  'include-volumes': 'all'
}
const imagesFile = '-images.json'
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'state-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

/** The files in the folder but that of the images. */
async function ledgers(): Promise<string[]> {
  const files = await readdir(folder)
  return files.filter((name) => !name.endsWith(imagesFile))
}

it('a named volume goes only once a ledger has watched it idle for until', async () => {
  await docker('volume', 'create', 'idle')
  await docker('volume', 'create', 'used')
  const inputs = {
    ...everything,
    until: '4s',
    'state-dir': folder,
    'dry-run': 'true'
  }
  const first = await step(inputs)
  for (const name of ['idle', 'used']) {
    expect(resource(first, name)).toMatchObject({
      action: 'keep',
      reason: 'unknown-age'
    })
    expect(resource(first, name).detail).toMatch(
      /it can go from \d{4}-\d\d-\d\d \d\d:\d\d UTC on/
    )
  }
  await sleep(5_000)
  await docker(
    'run',
    '--rm',
    '--network',
    'none',
    '--volume',
    'used:/data',
    'busybox:1',
    'true'
  )

  // The floor of ten minutes still holds: only the reason changes.
  const second = await step(inputs)
  expect(resource(second, 'idle')).toMatchObject({
    action: 'keep',
    reason: 'recent'
  })
  expect(resource(second, 'idle').detail).toContain('10 min')
  expect(resource(second, 'used').detail).toMatch(
    /^last used by a container \d+ s ago$/
  )

  const without = await step({ ...inputs, 'state-dir': '' })
  expect(resource(without, 'idle')).toMatchObject({ reason: 'unknown-age' })
  expect(await ledgers()).toHaveLength(1)
})

test('what a run removes is forgotten, what it keeps is not', async () => {
  await load([oldImage('app')])
  await docker('network', 'create', 'net')

  const done = await step({ ...everything, until: '0s', 'state-dir': folder })

  const gone = ['app:1', 'net'].map((name) => resource(done, name))
  expect(gone).toMatchObject(gone.map(() => ({ outcome: 'removed' })))
  const [file = ''] = await ledgers()
  const written = await readFile(join(folder, file), 'utf8')
  for (const { id } of gone) expect(written).not.toContain(id)
  expect(written).toContain(resource(done, 'busybox:1').id)
})

it('what the engine’s log has forgotten, the ledger remembers', async () => {
  await load([oldImage('used'), oldImage('unused')])
  await docker('run', '--rm', '--network', 'none', 'busybox:1', 'true')
  await docker(
    'create',
    '--network',
    'none',
    '--name',
    'short',
    'used:1',
    'true'
  )
  await docker('container', 'rm', 'short')
  const inputs = {
    ...everything,
    until: '1h',
    'state-dir': folder,
    'dry-run': 'true'
  }
  await step(inputs)
  await load([oldImage('late')])
  await load(fillers())

  const done = await step(inputs)
  const store = done.report?.engine.store
  expect(resource(done, 'used:1')).toMatchObject({
    action: 'keep',
    reason: 'recent'
  })
  if (store !== 'containerd')
    expect(resource(done, 'used:1').detail).toMatch(/^seen in use/)
  // An earlier run has looked, and did not see it.
  expect(resource(done, 'late:1')).toMatchObject({
    action: 'keep',
    reason: 'recent'
  })
  // Without the ledger only the date of the build is left.
  const without = await step({ ...inputs, 'state-dir': '' })
  if (store !== 'containerd')
    for (const name of ['used:1', 'late:1'])
      expect(resource(without, name).outcome).toBe('planned')
  await docker('image', 'prune', '--all', '--force')
})

test.each([
  ['truncated', (file: string) => writeFile(file, '{"version":1,')],
  ['of another version', (file: string) => writeFile(file, '{"version":9}')],
  ['a folder', (file: string) => mkdir(file)]
])(
  'a ledger that is %s is a warning, and the run goes on',
  async (_, spoil) => {
    await docker('network', 'create', 'unused')
    await step({ 'state-dir': folder, 'dry-run': 'true' })
    const [name = ''] = await ledgers()
    await rm(join(folder, name))
    await spoil(join(folder, name))

    const done = await step({ ...everything, until: '0s', 'state-dir': folder })

    expect(done.exitCode).toBe(0)
    expect(done.stdout).toMatch(/^::warning::The ledger of earlier runs/m)
    expect((await contents()).networks).toEqual([])
  }
)

test('the ledger is that of the engine’s endpoint, data root and store', async () => {
  const done = await step({ 'state-dir': folder, 'dry-run': 'true' })
  const key = {
    endpoint: engine().host,
    rootDir: join(engine().folder, 'data'),
    store: done.report?.engine.store ?? ''
  }
  expect((await ledgers()).map((name) => join(folder, name))).toEqual([
    ledgerFile(folder, key)
  ])
})

test('what an earlier run was told of images is held against the engine again', async () => {
  await load([
    oldImage('old'),
    { ...oldImage('kept'), labels: { keep: '' } },
    oldImage('named'),
    oldImage('fresh')
  ])
  const inputs = { ...everything, until: '1h', 'state-dir': folder }
  await step({ ...inputs, 'dry-run': 'true' })
  await docker('tag', 'named:1', 'other:1')
  // The event log forgets when the images came, and so does the ledger.
  await load(fillers())
  for (const name of await ledgers()) await rm(join(folder, name))
  await tamper(({ id, image }) => {
    if (image?.references[0] === 'kept:1')
      return { id, image: { ...image, labels: {} } }
    return image && { id, image: { ...image, taggedAt: Date.UTC(2024, 1) } }
  })

  const young = await step({ ...inputs, 'dry-run': 'true' })
  if (young.report?.engine.store === 'containerd')
    for (const name of ['old:1', 'kept:1', 'fresh:1'])
      expect(resource(young, name).action).toBe('keep')

  await tamper(
    ({ id, image }) => image && { id, image: { ...image, labels: {} } }
  )
  const done = await step({ ...inputs, until: '0s' })
  expect(done.exitCode).toBe(0)
  expect((await contents()).references).toEqual(['busybox:1', 'kept:1'])
  // Now it is asked again.
  const last = await step({ ...inputs, until: '0s' })
  expect(resource(last, 'kept:1').reason).toBe('protected-label')
})

type Fact = { id: string; image?: { references: string[] } }

/** Changes what the file says of each image. */
async function tamper(change: (fact: Fact) => Fact | undefined): Promise<void> {
  const names = await readdir(folder)
  for (const name of names.filter((one) => one.endsWith(imagesFile))) {
    const file = join(folder, name)
    const content = JSON.parse(await readFile(file, 'utf8')) as {
      images: Fact[]
    }
    const images = content.images.map((fact) => change(fact) ?? fact)
    await writeFile(file, JSON.stringify({ ...content, images }))
  }
}
