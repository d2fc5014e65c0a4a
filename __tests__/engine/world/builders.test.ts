import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import type { Step } from '../../../scripts/engines/step.ts'
import {
  allVolumes,
  createBuilders,
  nameOf,
  stateOf
} from '../harness/builders.ts'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { onlyOnDocker } from '../harness/target.ts'

const tests = useEngine()
const { docker, step, contents, folder, dockerThat } = tests
const { start, makeStopped } = createBuilders(tests)
const test = onlyOnDocker('removal of volumes by exact name')
const inputs = { ...allVolumes, 'include-builders': 'all' }

test('a builder used or restarted between the two checks is kept, with its state', async () => {
  const left = ['late0', 'restarted0', 'visited0']
  await Promise.all(['idle0', ...left].map((node) => start(node)))
  // The second listing of containers belongs to the second check.
  const command = await dockerThat(`
case "$1 $2" in "container ls") [ "$(count calls)" = 2 ] && {
  $docker exec --detach ${nameOf('late0')} sleep 600
  $docker exec ${nameOf('visited0')} true
  $docker restart -t 1 ${nameOf('restarted0')} >/dev/null
} ;; esac`)

  const done = await step({ ...inputs, concurrency: '1', docker: command })

  expect(done.exitCode).toBe(0)
  expect(await contents()).toMatchObject({
    containers: left.map(nameOf),
    volumes: left.map(stateOf)
  })
  const running = ['--filter', 'status=running', '--quiet']
  const ids = await docker('container', 'ls', ...running)
  expect(ids.split('\n')).toHaveLength(left.length)
  for (const node of left)
    expect(resource(done, nameOf(node))).toMatchObject({
      outcome: 'kept',
      reason: 'changed'
    })
  expect(resource(done, nameOf('late0')).detail).toContain('client')
  expect(resource(done, nameOf('visited0')).detail).toContain('client')
})

test('state is kept if the builder’s container cannot be removed, or if another container starts to use it', async () => {
  await Promise.all([makeStopped('cursed0'), makeStopped('taken0')])
  const id = await docker('inspect', '--format', '{{.Id}}', nameOf('cursed0'))
  const command = await dockerThat(`
case "$1 $2 $*" in
"container rm "*${id}*) echo 'Error response from daemon: driver failed' >&2; exit 1 ;;
"volume rm "*) once $docker create --name user --volume ${stateOf('taken0')}:/data busybox:1 ;;
esac`)

  const done = await step({
    ...inputs,
    'include-builders': 'stopped',
    docker: command
  })

  expect(done.exitCode).toBe(1)
  expect(await contents()).toMatchObject({
    containers: [nameOf('cursed0'), 'user'],
    volumes: [stateOf('cursed0'), stateOf('taken0')]
  })
  expect(resource(done, nameOf('cursed0'))).toMatchObject({
    outcome: 'failed',
    detail: expect.stringContaining('driver failed')
  })
  expect(resource(done, nameOf('taken0'))).toMatchObject({
    outcome: 'kept',
    reason: 'changed',
    detail: expect.stringContaining('container removed, state volume kept')
  })
})

test('two parallel runs do no harm and report no failure', async () => {
  await Promise.all([
    ...['a0', 'b0', 'c0'].map((node) => makeStopped(node)),
    start('d0')
  ])

  const runs = await Promise.all([step(inputs), step(inputs)])

  for (const { exitCode, outputs } of runs)
    expect({ exitCode, failed: outputs['failed'] }).toEqual({
      exitCode: 0,
      failed: '0'
    })
  expect((await contents()).containers).toEqual([])
  await step({ ...inputs, 'include-builders': 'stopped' })
  expect((await contents()).volumes).toEqual([])
})

test('a running builder is kept if there is too little time to stop it, or if the run is cancelled', async () => {
  await start('idle0')

  // The run measures sizes once the plan is made.
  const planned = (name: string) => join(folder(), name)
  const command = await dockerThat(`
case "$1 $2 $3" in "container inspect --size")
  date +%s%3N >${planned('$RUN')}
  [ $RUN = late ] || (sleep 2; kill -INT $PPID) >/dev/null 2>&1 & ;;
esac`)
  const run = (name: string, timeout: string) =>
    step({ ...inputs, timeout, docker: command }, { RUN: name })
  const sincePlan = async (name: string, { report }: Step) =>
    Date.parse(report?.finishedAt ?? '') -
    Number(await readFile(planned(name), 'utf8'))

  const [late, cancelled] = await Promise.all([
    // Enough for the second check, but not for stopping the builder.
    run('late', '15s'),
    run('cancelled', '15m')
  ])

  expect(late.exitCode).toBe(0)
  expect(resource(late, nameOf('idle0'))).toMatchObject({
    outcome: 'kept',
    reason: 'budget'
  })
  expect(cancelled.exitCode).toBe(1)
  // Neither waits for the second check.
  expect(await sincePlan('late', late)).toBeLessThan(9_000)
  expect(await sincePlan('cancelled', cancelled)).toBeLessThan(9_000)
  expect(
    await docker('container', 'ls', '--format', '{{.Names}} {{.State}}')
  ).toBe(`${nameOf('idle0')} running`)
  expect((await contents()).volumes).toEqual([stateOf('idle0')])
})
