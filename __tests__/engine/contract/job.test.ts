import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { useRunner } from '../harness/runner.ts'
import { podman } from '../harness/target.ts'
import { oldImage, polite } from '../harness/things.ts'

const { docker, load, build, run, job, contents, states } = useEngine()
const { above } = useRunner()
const inputs = { scope: 'job', 'include-volumes': 'all' }

const snapshot = async () => ({
  ...(await contents()),
  states: await states()
})

test('after a job, the engine holds what it held before', async () => {
  await load([oldImage('base')])
  await docker('network', 'create', 'net')
  await run('db', '--volume', 'data:/data', 'busybox:1', 'sleep', '600')
  const before = await snapshot()

  const work = async () => {
    await docker('tag', 'base:1', 'base:mine')
    await build('FROM busybox:1\nLABEL step=1\nLABEL step=2\n', {
      tag: 'web:1'
    })
    await build('FROM web:1\nCMD ["true"]\n', { tag: 'web:2', buildKit: true })
    await docker('network', 'create', 'net-of-job')
    await docker(
      ...['run', '--detach', '--name', 'server', '--network', 'net-of-job'],
      ...['--volume', 'data-of-job:/data', '--volume', '/scratch'],
      ...['--restart', 'always', 'web:1', ...polite]
    )
    await docker('run', '--name', 'tests', '--network', 'none', 'web:2')
  }
  const { main, post } = await job(inputs, {}, work, { above: above() })

  expect(main).toMatchObject({ exitCode: 0, summary: '' })
  // The step sees only its own runner.
  expect(main.stdout).toMatch(/^Before this job: 1 container, 2 images/m)
  expect(post).toMatchObject({ exitCode: 0, outputs: { failed: '0' } })
  expect(await snapshot()).toEqual({
    ...before,
    // Named volumes are kept on Podman.
    volumes: podman ? ['data', 'data-of-job'] : before.volumes
  })
  expect(resource(post, 'server')).toMatchObject({
    outcome: 'removed',
    reason: 'job'
  })
  expect(resource(post, 'base:1')).toMatchObject({
    outcome: 'untagged',
    removedReferences: ['base:mine']
  })
})
