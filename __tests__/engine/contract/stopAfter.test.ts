import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { useRunner } from '../harness/runner.ts'
import { clockMoved, hour } from '../harness/standIn.ts'
import { everything, polite } from '../harness/things.ts'
import { createFacts, inspectOne, printing } from './fact.ts'

const tests = useEngine()
const { run, step, contents, states, dockerThat } = tests
const { host } = useRunner()
const fact = createFacts(tests)
const web = ['busybox:1', ...polite]

type Container = {
  HostConfig: { RestartPolicy: { Name: string }; AutoRemove: boolean }
}

fact(
  'rule 14',
  'inspect shows the restart policy and --rm',
  printing('container inspect', 's/"Name": "always"/"Name": "no"/'),
  async ({ docker }) => {
    await run('plain', ...web)
    await run('always', '--restart', 'always', ...web)
    await run('short', '--rm', ...web)
    const read = async (name: string) => {
      const { HostConfig } = await inspectOne<Container>(
        docker,
        'container',
        name
      )
      return [HostConfig.RestartPolicy.Name || 'no', HostConfig.AutoRemove]
    }
    expect(await read('plain')).toEqual(['no', false])
    expect(await read('always')).toEqual(['always', false])
    expect(await read('short')).toEqual(['no', true])
  }
)

fact(
  'rule 14',
  'a stop removes a container started with --rm, and its anonymous volumes',
  'case "$1 $2" in "container stop") "$docker" volume create left >/dev/null ;; esac',
  async ({ docker }) => {
    const volumes = ['--volume', '/data', '--volume', 'data:/named']
    const id = await run('short', '--rm', ...volumes, ...web)
    await docker('container', 'stop', '--time', '10', '--', id)
    // The engine does so a moment later.
    const isThere = async () => (await contents()).containers.length > 0
    for (let tries = 0; tries < 200 && (await isThere()); tries += 1)
      await sleep(50)
    expect(await contents()).toMatchObject({
      ...{ containers: [], volumes: ['data'] }
    })
  }
)

test('a rule stops containers, but for those with a restart policy or an exec session', async () => {
  await run('ran', ...web)
  await run('short', '--rm', ...web)
  await run('always', '--restart', 'always', ...web)
  await run('with-exec', ...web)
  await tests.docker('exec', '--detach', 'with-exec', 'sleep', '600')
  const inputs = {
    ...{ ...everything, docker: await dockerThat(clockMoved(hour)) },
    rules: 'container * stop-after=30m until=24h'
  }

  const done = await step(inputs, {}, { above: host() })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'ran')).toMatchObject({
    ...{ outcome: 'kept', reason: 'recent', stop: 'stopped' }
  })
  expect(resource(done, 'short')).toMatchObject({
    ...{ outcome: 'removed', stop: 'stopped' }
  })
  expect(await states()).toEqual([
    ...['always running', 'ran exited', 'with-exec running']
  ])
})
