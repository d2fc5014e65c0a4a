import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { execa } from 'execa'
import { useEngine } from '../harness/engine.ts'
import { useRegistry } from '../harness/registry.ts'
import { resource } from '../harness/report.ts'
import { changeFacts, listLedgers } from '../harness/state.ts'
import { containerd, onlyOnDocker, podman, root } from '../harness/target.ts'
import {
  everything,
  imagesOfAnyDate,
  momentBetween,
  oldImage,
  oldImages
} from '../harness/things.ts'

// The evidence of an image's age: from the engine, from the store, and from earlier runs.

const engine = useEngine()
const { docker, load, build, run, create, step, contents } = engine
const { folder, overflowLog } = engine
const { publish, pull } = useRegistry(engine)
const it = onlyOnDocker('event log limit')

const recent = { action: 'keep', reason: 'recent' }
const unknown = { action: 'keep', reason: 'unknown-age' }
const planned = { outcome: 'planned' }
const dryRun = { ...everything, until: '1h', 'dry-run': 'true' }

test('images just loaded, pulled or used are kept, whatever their date, unlike with docker prune', async () => {
  const published = await publish(
    imagesOfAnyDate.map((image, index) => ({
      ...image,
      ...{ references: [`pulled-${index}:1`] },
      layers: [{ name: 'pulled', bytes: 1_000 + index }]
    }))
  )
  const single = published.map(({ tag, pinned }, index) =>
    index % 2 === 0 ? tag : pinned
  )
  const all = podman
    ? []
    : await publish(
        oldImages(2).map((image, index) => ({
          ...image,
          references: [`all:${index}`]
        }))
      )
  const pulled = [...single, ...all.map(({ tag }) => tag)]
  await load([oldImage('used'), oldImage('unused')])
  // Podman 4 does not log which image it loaded.
  if (podman) await docker('tag', 'unused:1', 'unused:2')
  await run('early', 'busybox:1', 'true')
  await run('late', 'busybox:1', 'sleep', '600')
  await docker('wait', 'early')
  const before = await momentBetween()
  await load(imagesOfAnyDate)
  await pull(single)
  if (!podman)
    await docker('pull', '--all-tags', all[0]?.tag.replace(/:0$/, '') ?? '')
  await create('short', 'used:1', 'true')
  await docker('rm', 'short')
  await docker('kill', 'late')
  await docker('wait', 'late')

  const done = await step({ ...everything, until: before })

  for (const name of [...pulled, 'used:1', 'late'])
    expect(resource(done, name)).toMatchObject(recent)
  expect(resource(done, 'used:1').detail).toMatch(/^used by a container/)
  for (const name of ['unused:1', 'early'])
    expect(resource(done, name).outcome).toBe('removed')
  const silent = podman && done.report?.engine.version.startsWith('4')
  const loaded = imagesOfAnyDate.flatMap(({ references }) => references)
  for (const name of loaded)
    expect(resource(done, name)).toMatchObject(silent ? unknown : recent)
  expect((await contents()).references).toEqual(expect.arrayContaining(loaded))
  // Podman 4 does not support Docker's prune either.
  if (silent) return
  expect(resource(done, 'epoch:1').detail).toMatch(
    /^(?:loaded|tagged) \d+ s ago$/
  )

  await docker('image', 'prune', '--all', '--force', '--filter', 'until=24h')
  const { references } = await contents()
  // Newer engines keep images without a date.
  const dated = loaded.filter((one) => one !== 'none:1')
  expect(references.filter((one) => dated.includes(one))).toEqual(
    containerd ? dated.sort() : []
  )
})

/** Every way for an image to arrive on an engine, dated 2024 where the date can be chosen. */
const arrivals: Record<string, () => Promise<unknown>> = {
  'pulled by its tag and by its digest': async () => {
    const published = await publish([oldImage('tag'), oldImage('digest')])
    await pull(published.map(({ tag, pinned }, at) => (at ? pinned : tag)))
  },
  loaded: () => load([oldImage('loaded')]),
  'loaded without a tag': () => load([{ ...oldImage('bare'), references: [] }]),
  imported: async () => {
    const archive = join(folder(), 'root.tar')
    await docker('create', '--name', 'source', '--network', 'none', 'busybox:1')
    await docker('export', '--output', archive, 'source')
    await docker('rm', 'source')
    await docker('import', archive, 'imported:1')
    await docker('import', archive)
  },
  'built by the classic builder': async () => {
    const steps = 'FROM busybox:1\nLABEL classic=1\nLABEL classic=2\n'
    await build(steps, { tag: 'classic:1' })
    await build(`${steps}LABEL untagged=1\n`)
  },
  'built by BuildKit': async () => {
    const args = ['--build-arg', 'SOURCE_DATE_EPOCH=1714564800']
    const steps = 'FROM busybox:1\nLABEL buildkit=1\n'
    await build(steps, { tag: 'buildkit:1', buildKit: true, args })
    await build(`${steps}LABEL untagged=1\n`, { buildKit: true, args })
  },
  committed: async () => {
    await create('changed', 'busybox:1')
    await docker('commit', 'changed', 'committed:1')
    await docker('commit', '--change', 'LABEL untagged=1', 'changed')
    await docker('rm', 'changed')
  },
  'imported by another tool': async () => {
    if (!containerd) return
    const archive = join(folder(), 'other.tar')
    await load([oldImage('other')])
    await docker('save', '--output', archive, 'other:1')
    await docker('image', 'rm', 'other:1')
    const ctr = `${root ?? ''}/usr/bin/ctr`
    const socket = join(engine.engine().folder, 'containerd.sock')
    const import_ = ['--namespace', 'moby', 'images', 'import', archive]
    await execa(ctr, ['--address', socket, ...import_])
  }
}

test('however an image arrived, it is kept for until, even without event log and ledger', async () => {
  const before = await contents()
  for (const arrive of Object.values(arrivals)) await arrive()
  await overflowLog()
  const after = await contents()

  const until = { ...everything, until: '1h', 'state-dir': '' }
  const done = await step(until)

  const gone = done.report?.resources.filter(({ action }) => action !== 'keep')
  expect(gone).toEqual([])
  expect(await contents()).toEqual(after)
  const last = await step({ ...until, until: '0s' })
  expect(last.exitCode).toBe(0)
  expect(await contents()).toEqual(before)
})

it('an untagged image that a build produces again counts as just built', async () => {
  const again = () =>
    build('FROM busybox:1\nLABEL again=1\n', { buildKit: true })
  const first = await again()
  const before = await momentBetween()
  const later = await again()

  const done = await step({ ...everything, until: before })

  // On the containerd store, every build is a separate image with its attestation.
  if (!containerd) expect(later).toBe(first)
  // Docker 20.10 and 26.1 do not log it.
  const silent = Number.parseInt(done.report?.engine.version ?? '') < 28
  expect(resource(done, later).reason).toBe(silent ? 'unknown-age' : 'recent')
})

it('the age of an image pulled before the event log began is known from an earlier run or the containerd store', async () => {
  const [{ tag } = { tag: '' }] = await publish([oldImage('app')])
  await pull([tag])
  await overflowLog()
  const remembering = { ...dryRun, 'state-dir': folder() }

  const first = await step(remembering)
  expect(resource(first, tag)).toMatchObject(containerd ? recent : unknown)

  const seen = await momentBetween()
  const other = await step({ ...dryRun, until: seen })
  expect(resource(other, tag)).toMatchObject(planned)

  await overflowLog()
  const known = await step({ ...remembering, until: seen })
  expect(resource(known, tag)).toMatchObject(planned)
  expect(resource(known, tag).detail).toMatch(
    containerd ? /^tagged/ : /first seen \d+ s ago$/
  )
})

test('image facts from an earlier run are checked against the engine', async () => {
  await load([
    oldImage('used'),
    { ...oldImage('kept'), labels: { keep: '' } },
    oldImage('named')
  ])
  await create('short', 'used:1', 'true')
  await docker('rm', 'short')
  const remembering = { ...dryRun, 'state-dir': folder() }
  await step(remembering)
  await load([oldImage('late')])
  await docker('tag', 'named:1', 'other:1')
  if (!podman) await expectMemory(remembering)
  await changeFacts(folder(), () => ({ labels: {} }))
  // Its removal is the first event of the run; from then on, a listing may replace inspecting the images.
  await create('first', 'busybox:1', 'true')
  const real = { ...everything, 'state-dir': folder() }
  const done = await step(real)
  expect(done.exitCode).toBe(0)
  expect((await contents()).references).toEqual(['busybox:1', 'kept:1'])
  // Now the image is inspected again; on Podman, no image facts are stored.
  const last = podman ? done : await step(real)
  expect(resource(last, 'kept:1').reason).toBe('protected-label')
})

/** Expects the ledger and the containerd store to know what the event log has dropped. */
async function expectMemory(remembering: typeof dryRun): Promise<void> {
  await overflowLog()
  const names = ['used:1', 'late:1']
  const [known, without] = await Promise.all([step(remembering), step(dryRun)])
  for (const name of names) {
    expect(resource(known, name)).toMatchObject(recent)
    // Without the ledger, only the build date is left.
    expect(resource(without, name)).toMatchObject(containerd ? recent : unknown)
  }
  if (!containerd) return

  // Only wrong image facts are left.
  for (const name of await listLedgers(folder())) await rm(join(folder(), name))
  await changeFacts(folder(), () => ({ taggedAt: Date.UTC(2024, 1) }))
  const inspected = await step(remembering)
  for (const name of names)
    expect(resource(inspected, name)).toMatchObject(recent)
}
