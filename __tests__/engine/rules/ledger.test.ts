import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { ledgerFile } from '../../../src/state/ledgerFile.ts'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { clockMoved, hour } from '../harness/standIn.ts'
import { changeFacts, listLedgers } from '../harness/state.ts'
import { everything, momentBetween, oldImage } from '../harness/things.ts'

const tests = useEngine()
const { docker, engine, load, create, step, contents } = tests
const { folder, overflowLog, dockerThat } = tests
const recent = { action: 'keep', reason: 'recent' }
const unknown = { action: 'keep', reason: 'unknown-age' }

test('a named volume is removed only after a ledger has watched it idle for until', async () => {
  await docker('volume', 'create', 'idle')
  await docker('volume', 'create', 'used')
  const dryRun = {
    ...everything,
    'include-volumes': 'all',
    'dry-run': 'true'
  }
  const inputs = { ...dryRun, 'state-dir': folder() }
  const first = await step({ ...inputs, until: '4s' })
  for (const name of ['idle', 'used']) {
    expect(resource(first, name)).toMatchObject(unknown)
    expect(resource(first, name).detail).toMatch(
      /can be removed from \d{4}-\d\d-\d\d \d\d:\d\d UTC if still unused$/
    )
  }
  const seen = await momentBetween()
  const use = ['--rm', '--network', 'none', '--volume', 'used:/data']
  await docker('run', ...use, 'busybox:1', 'true')

  const [second, without] = await Promise.all([
    step({ ...inputs, until: seen }),
    step({ ...dryRun, until: seen, 'state-dir': '' })
  ])

  // The minimum of ten minutes still applies, so only the reason changes.
  expect(resource(second, 'idle')).toMatchObject(recent)
  expect(resource(second, 'idle').detail).toContain('10 min')
  expect(resource(second, 'used').detail).toMatch(
    /^used by a container \d+ s ago$/
  )
  expect(resource(without, 'idle')).toMatchObject(unknown)
  expect(await listLedgers(folder())).toHaveLength(1)

  // Another endpoint has a separate ledger, even with the same engine ID.
  const socket = join(folder(), 'docker.sock')
  await symlink(engine().host.replace('unix://', ''), socket)
  const other = await step(
    { ...inputs, until: seen },
    { DOCKER_HOST: `unix://${socket}` }
  )
  expect(resource(other, 'idle')).toMatchObject(unknown)

  const done = await step({
    ...{ ...inputs, until: seen, 'dry-run': 'false' },
    docker: await dockerThat(clockMoved(hour))
  })
  expect(resource(done, 'idle').outcome).toBe('removed')
  expect(resource(done, 'used')).toMatchObject(recent)
  expect((await contents()).volumes).toEqual(['used'])
})

test('the ledger forgets removed resources and remembers kept ones; a broken ledger causes a warning', async () => {
  await load([oldImage('app')])
  await docker('network', 'create', 'net')
  const inputs = { ...everything, 'state-dir': folder() }

  const done = await step(inputs)

  const gone = ['app:1', 'net'].map((name) => resource(done, name))
  expect(gone).toMatchObject(gone.map(() => ({ outcome: 'removed' })))
  const file = ledgerFile(folder(), {
    endpoint: engine().host,
    rootDir: join(engine().folder, 'data'),
    store: done.report?.engine.store ?? ''
  })
  const ledgers = await listLedgers(folder())
  expect(ledgers.map((name) => join(folder(), name))).toEqual([file])
  const written = await readFile(file, 'utf8')
  for (const { id } of gone) expect(written).not.toContain(id)
  expect(written).toContain(resource(done, 'busybox:1').id)

  const broken = {
    truncated: () => writeFile(file, '{"version":1,'),
    // This one cannot be rewritten either.
    'a folder': () => mkdir(file)
  }
  for (const [kind, breakLedger] of Object.entries(broken)) {
    await docker('network', 'create', kind.replace(' ', '-'))
    await rm(file)
    await breakLedger()

    const { exitCode, stdout } = await step(inputs)

    const { networks } = await contents()
    expect({ kind, exitCode, networks }).toEqual({
      ...{ kind, exitCode: 0, networks: [] }
    })
    expect(stdout).toMatch(/^::warning::Cannot use the memory of earlier runs/m)
  }
})

test('the ledger remembers what the event log has dropped; stored image facts are checked against the engine', async () => {
  await load([
    oldImage('used'),
    { ...oldImage('kept'), labels: { keep: '' } },
    oldImage('named')
  ])
  await create('short', 'used:1', 'true')
  await docker('rm', 'short')
  const dryRun = { ...everything, until: '1h', 'dry-run': 'true' }
  await step({ ...dryRun, 'state-dir': folder() })
  await load([oldImage('late')])
  await docker('tag', 'named:1', 'other:1')
  await overflowLog()

  const [known, without] = await Promise.all([
    step({ ...dryRun, 'state-dir': folder() }),
    step({ ...dryRun, 'state-dir': '' })
  ])
  expect(resource(known, 'used:1')).toMatchObject(recent)
  expect(resource(known, 'used:1').detail).toMatch(/^seen in use/)
  // An earlier run did not see it.
  expect(resource(known, 'late:1')).toMatchObject(recent)
  // Without the ledger, only the build date is left.
  for (const name of ['used:1', 'late:1'])
    expect(resource(without, name)).toMatchObject(unknown)
  expect(resource(known, 'named:1').references).toEqual(['named:1', 'other:1'])

  await changeFacts(folder(), () => ({ labels: {} }))
  const done = await step({ ...everything, 'state-dir': folder() })
  expect(done.exitCode).toBe(0)
  expect((await contents()).references).toEqual(['busybox:1', 'kept:1'])
  // Now the image is inspected again.
  const last = await step({ ...everything, 'state-dir': folder() })
  expect(resource(last, 'kept:1').reason).toBe('protected-label')
})
