import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import type { Step } from '../../../scripts/engines/step.ts'
import { inputsOf } from '../../workflows.ts'
import { useEngine } from '../harness/engine.ts'
import { useRegistry } from '../harness/registry.ts'
import { resource } from '../harness/report.ts'
import { useRunner } from '../harness/runner.ts'
import { idOf, oldImage, polite } from '../harness/things.ts'

const tests = useEngine()
const { docker, engine, folder, load, build, create } = tests
const { step, job, contents, states, dockerThat } = tests
const { publish, pull } = useRegistry(tests)
const { above, startOther } = useRunner()
const scope = { scope: 'job', 'include-volumes': 'all' }

/** Runs a job on its own runner, with the step at its start. */
const jobThat = (
  body: (main: Step) => Promise<void>,
  inputs: Record<string, string> = {}
) => job({ ...scope, ...inputs }, {}, body, { above: above() })

const postStep = ({ state }: Step, inputs = {}, env = {}) =>
  step({ ...scope, ...inputs }, env, { above: above(), state })

const snapshot = async () => ({
  ...(await contents()),
  states: await states()
})

async function fillBeforeJob(): Promise<void> {
  await load([
    oldImage('tool'),
    oldImage('base'),
    { ...oldImage('app'), references: ['app:1', 'app:stable'] },
    { ...oldImage('moved'), references: ['moved:1'] }
  ])
  await build('FROM busybox:1\nLABEL dangling=1\n')
  await docker('network', 'create', 'net')
  await docker('volume', 'create', 'data')
  const mount = ['--volume', 'data:/data']
  await docker(
    ...['run', '--detach', '--name', 'db', '--network', 'net', ...mount],
    ...['busybox:1', 'sleep', '600']
  )
  await create('waiting', 'tool:1', 'true')
}

async function runJobCommands(): Promise<void> {
  await docker('network', 'create', 'net-of-job')
  await build('FROM busybox:1\nLABEL step=1\nLABEL step=2\n', { tag: 'web:1' })
  await build('FROM web:1\nCMD ["true"]\n', { tag: 'web:2', buildKit: true })
  await build('FROM scratch\nLABEL dangling=2\n')
  await load([{ ...oldImage('pulled'), references: ['pulled:1', 'copy:1'] }])
  await docker('volume', 'create', 'data-of-job')
  const mounts = ['--volume', 'data-of-job:/data', '--volume', '/scratch']
  await docker(
    ...['run', '--detach', '--name', 'server', '--network', 'net-of-job'],
    ...[...mounts, '--restart', 'always', 'web:1', ...polite]
  )
  await docker('run', '--name', 'tests', '--network', 'none', 'web:2')
}

test('the example for jobs', async () => {
  const [inputs] = await inputsOf('job.yml')
  const before = await contents()
  const { main, post } = await jobThat(async () => {
    await load([oldImage('web')])
    await create('tests', 'web:1', 'true')
  }, inputs)
  expect(main.exitCode).toBe(0)
  expect(post.exitCode).toBe(0)
  expect(resource(post, 'web:1').outcome).toBe('removed')
  expect(await contents()).toEqual(before)
})

test('after a job, the engine holds what it held before', async () => {
  await fillBeforeJob()
  const before = await snapshot()

  const { main, post } = await jobThat(async (main) => {
    expect(await snapshot()).toEqual(before)
    expect(main.summary).toBe('')
    expect(main.outputs).toEqual({})
    expect(main.stdout).toMatch(/^Before this job: 2 containers, 6 images/m)
    expect(Object.keys(main.state).sort()).toEqual(['main', 'snapshot'])
    await runJobCommands()
    await docker('tag', 'base:1', 'base:mine')
    await docker('create', '--name', 'on-net', '--network', 'net', 'web:2')
  })

  expect(main.exitCode).toBe(0)
  expect(post.exitCode).toBe(0)
  expect(await snapshot()).toEqual(before)
  expect(post.outputs['failed']).toBe('0')
  expect(resource(post, 'server')).toMatchObject({
    ...{ outcome: 'removed', reason: 'job' },
    detail: 'new since the job began; running, stopped first'
  })
  expect(resource(post, 'base:1')).toMatchObject({
    outcome: 'untagged',
    removedReferences: ['base:mine']
  })
  for (const name of ['db', 'net', 'data', 'app:1', 'build-cache'])
    expect(resource(post, name)).toMatchObject({
      ...{ outcome: 'kept', reason: 'out-of-scope' }
    })
  expect(post.summary).toMatch(/^## Reclaimed .* from this job in /)
  expect(post.processesLeft).toEqual([])
})

test('existing references are kept even if moved, and so are protected resources', async () => {
  await fillBeforeJob()
  const before = await snapshot()
  const id = (name: string) => idOf(docker, name)
  const old = await id('app:1')

  const { post } = await jobThat(
    async () => {
      // The image is rebuilt and gets another tag; so does the old image.
      await build('FROM busybox:1\nLABEL rebuilt=1\n', { tag: 'app:1' })
      await docker('tag', 'app:1', 'app:build-7')
      await docker('tag', 'app:stable', 'app:old')
      // The only tag of this image moves to the new one, which leaves it dangling.
      await docker('tag', 'app:1', 'moved:1')
      await load([oldImage('pinned')])
      await build('FROM busybox:1\nLABEL keep=\n', { tag: 'labelled:1' })
      await docker('volume', 'create', '--label', 'keep', 'kept')
      await docker(
        ...['create', '--name', 'kept', '--label', 'keep', '--network', 'net'],
        ...['--volume', 'used:/data', 'busybox:1', 'true']
      )
    },
    { 'protected-images': 'pinned' }
  )

  expect(post.exitCode).toBe(0)
  const after = await snapshot()
  expect(after).toMatchObject({
    containers: ['db', 'kept', 'waiting'],
    references: [...before.references, 'labelled:1', 'pinned:1'].sort(),
    networks: before.networks,
    volumes: ['data', 'kept', 'used']
  })
  expect(after.images).toEqual(expect.arrayContaining(before.images))
  expect(await id('app:1')).not.toBe(old)
  expect(await id('moved:1')).toBe(await id('app:1'))
  expect(await id('app:stable')).toBe(old)
  expect(resource(post, 'app:1')).toMatchObject({
    outcome: 'untagged',
    removedReferences: ['app:build-7']
  })
  for (const [name, reason] of [
    ['pinned:1', 'protected-image'],
    ['labelled:1', 'protected-label'],
    ['used', 'in-use']
  ] as const)
    expect(resource(post, name).reason).toBe(reason)
})

test('an image pulled by digest is kept, whatever tag a job adds', async () => {
  const [app = { tag: '', pinned: '' }] = await publish([oldImage('app')])
  await pull([app.pinned])

  const { post } = await jobThat(() => pull([app.tag]))

  expect(post).toMatchObject({ exitCode: 0, outputs: { failed: '0' } })
  await docker('image', 'inspect', app.pinned)
})

test('without include-volumes, the volumes of a job are kept; a dry run removes nothing', async () => {
  const before = await snapshot()
  const { post } = await jobThat(
    async (main) => {
      await runJobCommands()
      const held = await snapshot()
      const planned = await postStep(main, { 'dry-run': 'true' })
      expect(planned.summary).toMatch(/^## Would reclaim .* from this job: /)
      expect(await snapshot()).toEqual(held)
    },
    { 'include-volumes': 'false' }
  )
  expect(post.exitCode).toBe(0)
  const after = await snapshot()
  expect({ ...after, volumes: [] }).toEqual(before)
  expect(after.volumes).toHaveLength(2)
})

test.each(['when it begins', 'when it ends'])(
  'if another runner’s job is active on the host %s, nothing is removed',
  async (when) => {
    const ends: (() => Promise<void>)[] = []
    const end = async () => {
      for (const one of ends.splice(0)) await one()
    }
    const begins = when === 'when it begins'
    if (begins) ends.push(await startOther())
    try {
      const { main, post } = await jobThat(async () => {
        if (begins) await end()
        else ends.push(await startOther())
        await load([oldImage('app')])
        await create('tests', 'app:1', 'true')
      })
      expect(main.exitCode).toBe(0)
      expect(post.exitCode).toBe(0)
      const why = /another job is running on this host/
      if (begins) expect(main.stdout).toMatch(why)
      else expect(main.stdout).toMatch(/^Before this job/m)
      expect(post.stdout).toMatch(
        /^::warning::Nothing was removed after this job: another job/m
      )
      expect(post.summary).toMatch(/^## Nothing was removed/)
      expect(post.summary).toMatch(why)
      expect(post.outputs).toEqual({})
      expect(await contents()).toMatchObject({
        containers: ['tests'],
        references: ['app:1', 'busybox:1']
      })
    } finally {
      await end()
    }
  }
)

test('if the process list does not show the job’s own runner, nothing is removed', async () => {
  const { main, post } = await job(scope, {}, async () => {
    await load([oldImage('app')])
  })
  for (const { stdout, exitCode } of [main, post]) {
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(
      /^::warning::.* Runner\.Worker of this job is not in the process list/m
    )
  }
  expect(post.summary).toMatch(/^## Nothing was removed/)
  expect((await contents()).references).toEqual(['app:1', 'busybox:1'])
})

test('if its state cannot be saved, the step warns that nothing will be removed', async () => {
  const done = await step(
    scope,
    { GITHUB_STATE: '/dev/full' },
    { above: above() }
  )
  expect(done.exitCode).toBe(0)
  expect(done.stdout).toMatch(
    /^::warning::Nothing will be removed after this job: ENOSPC/m
  )
})

test('if the engine has changed since the start of the job, nothing is removed', async () => {
  const socket = join(folder(), 'docker.sock')
  await symlink(engine().host.replace('unix://', ''), socket)
  const command =
    await dockerThat(`case "$1 $OTHER" in "info "?*) out=$($docker "$@")
    printf %s "$out" | sed "s/\\"$OTHER\\":\\"[^\\"]*\\"/\\"$OTHER\\":\\"other\\"/"; exit ;; esac`)

  const { post } = await jobThat(
    async (main) => {
      await load([oldImage('app')])
      const others = [
        { DOCKER_HOST: `unix://${socket}` },
        ...['ID', 'DockerRootDir', 'Driver'].map((OTHER) => ({ OTHER }))
      ]
      const posts = others.map((env) =>
        postStep(main, { docker: command }, env)
      )
      for (const { exitCode, stdout, summary } of await Promise.all(posts)) {
        expect(exitCode).toBe(0)
        expect(stdout).toMatch(
          /^::warning::.* the engine is not the one from before the job/m
        )
        expect(summary).toMatch(/^## Nothing was removed/)
      }
    },
    { docker: command }
  )

  expect(resource(post, 'app:1').outcome).toBe('removed')
})

test('an engine failure before the job fails the step, and nothing is removed afterwards', async () => {
  await load([oldImage('app')])
  const command = await dockerThat(
    'case "$1 $2" in "image ls") echo "Error response from daemon: broken" >&2; exit 1 ;; esac'
  )
  const { main, post } = await jobThat(() => Promise.resolve(), {
    docker: command
  })
  expect(main.exitCode).toBe(1)
  expect(main.state).toEqual({ main: 'begun' })
  expect(post).toMatchObject({ exitCode: 0, stdout: '', summary: '' })
  expect((await contents()).references).toEqual(['app:1', 'busybox:1'])
})
