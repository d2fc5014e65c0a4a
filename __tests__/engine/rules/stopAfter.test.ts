import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { findSelf } from '../../../src/host/here.ts'
import { useEngine } from '../harness/engine.ts'
import { expectCleanFailure, resource } from '../harness/report.ts'
import { useRunner } from '../harness/runner.ts'
import { clockMoved, hour } from '../harness/standIn.ts'
import { everything, oldImages, polite } from '../harness/things.ts'

const tests = useEngine()
const { docker, engine, folder, run, create, load, build } = tests
const { step, contents, states, dockerThat } = tests
const { host, startOther } = useRunner()

/** Runs the step an hour later, outside any job. In the hooks, `$docker` is the real CLI. */
const stepLater = async (
  inputs: Record<string, string>,
  { hooks = '', above = host() } = {}
) => {
  const command = await dockerThat(`${hooks}\n${clockMoved(hour)}`)
  return step({ ...everything, ...inputs, docker: command }, {}, { above })
}

const web = ['busybox:1', ...polite]
const stopAll = { rules: 'container * stop-after=30m' }
const changed = { outcome: 'kept', reason: 'changed' }

const labelled = (key: string, ...args: string[]) => [
  ...['--label', `${key}=x`, ...args],
  ...web
]

const exitCodeOf = (name: string) =>
  docker('inspect', '--format', '{{.State.ExitCode}}', name)

const project = ['--label', 'com.docker.compose.project=shop']

test('a container that has run long enough is stopped, and removed by a later run once idle for until', async () => {
  await run('ran', ...labelled('ci'))
  await run('stubborn', '--label', 'ci=x', 'busybox:1', 'sleep', '600')
  await run('young', ...labelled('ci'))
  const inputs = {
    until: '30m',
    rules: 'container young stop-after=2h\nlabel ci stop-after=1h'
  }
  const why =
    /^running for 60 min, image busybox:1; rule 2 `label ci`: stop-after 1h$/

  const plan = await stepLater({ ...inputs, 'dry-run': 'true' })

  for (const name of ['ran', 'stubborn'])
    expect(resource(plan, name)).toMatchObject({
      ...{ action: 'keep', outcome: 'kept', reason: 'recent' },
      ...{ stop: 'planned', detail: expect.stringMatching(why), rule: 2 }
    })
  expect(plan.stdout).toMatch(
    /^stop container ran \(running for 60 min, image busybox:1; rule/m
  )
  expect(plan.summary).toMatch(/^## Would reclaim .*: 2 containers stopped\./)
  expect(plan.summary).toContain('Would be stopped: 2')
  expect(plan.outputs['skipped']).toBe('false')
  expect(await states()).toEqual([
    ...['ran running', 'stubborn running', 'young running']
  ])

  const done = await stepLater(inputs)

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'ran')).toMatchObject({
    ...{ action: 'keep', outcome: 'kept', reason: 'recent', stop: 'stopped' },
    detail: expect.stringMatching(
      /^stopped; was running for 60 min, image busybox/
    )
  })
  expect(resource(done, 'young')).toMatchObject({
    ...{ outcome: 'kept', reason: 'in-use', rule: 1 },
    detail: 'running for 60 min; rule 1 `container young`: stop-after 2h'
  })
  expect(resource(done, 'young').stop).toBeUndefined()
  expect(done.stdout).toMatch(/^stopped container ran \(running for 60 min/m)
  expect(done.summary).toMatch(/^## Reclaimed .*: 2 containers stopped\./)
  expect(done.summary).toContain('Stopped: 2')
  expect(done.outputs).toMatchObject({
    ...{ 'removed-containers': '0', failed: '0', skipped: 'false' }
  })
  expect(await states()).toEqual([
    ...['ran exited', 'stubborn exited', 'young running']
  ])
  expect(await exitCodeOf('ran')).toBe('0')
  expect(await exitCodeOf('stubborn')).toBe('137')

  const early = await step({ ...everything, ...inputs }, {}, { above: host() })
  expect(resource(early, 'ran')).toMatchObject({ reason: 'recent', rule: 2 })
  expect(early.outputs['skipped']).toBe('true')

  const late = await stepLater(inputs)
  expect(resource(late, 'ran')).toMatchObject({
    ...{ outcome: 'removed', reason: 'expired' },
    detail: expect.stringMatching(/^exited 60 min ago; rule 2/)
  })
  expect(resource(late, 'ran').stop).toBeUndefined()
  expect(await states()).toEqual(['young running'])
})

test('with until=0s it goes in the same run, together with its image and network', async () => {
  await build('FROM busybox:1\nLABEL app=1\n', { tag: 'app:1' })
  await docker('network', 'create', 'net')
  const inNetwork = ['run', '--detach', '--network', 'net', '--name', 'ran']
  await docker(...inNetwork, 'app:1', ...polite)

  const recent = await stepLater({
    ...{ until: '24h', 'dry-run': 'true' },
    rules: 'container * stop-after=30m until=0s'
  })

  expect(resource(recent, 'ran')).toMatchObject({
    ...{ action: 'remove', outcome: 'planned', stop: 'planned' }
  })
  for (const name of ['net', 'app:1'])
    expect(resource(recent, name).reason).toBe('recent')

  const done = await stepLater(stopAll)

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'ran')).toMatchObject({
    ...{ action: 'remove', outcome: 'removed', stop: 'stopped', rule: 1 },
    detail:
      'running for 60 min, image app:1; stopped first; rule 1 `container *`: stop-after 30m'
  })
  for (const name of ['net', 'app:1'])
    expect(resource(done, name).outcome).toBe('removed')
  expect(done.summary).toMatch(
    /^## Reclaimed .*: 1 image, 1 container, 1 network\./
  )
  expect(done.summary).toContain('Stopped: 1')
  expect(await contents()).toMatchObject({
    ...{ containers: [], networks: [], references: ['busybox:1'] }
  })
})

/** Containers that no rule stops: the options of `docker run`, and why. */
const neverStopped: Record<string, [args: string[], why: string]> = {
  ...Object.fromEntries(
    ['always', 'unless-stopped', 'on-failure'].map((policy) => [
      policy,
      [[`--restart=${policy}`, ...web], 'has a restart policy']
    ])
  ),
  ...Object.fromEntries(
    [
      ...['io.kubernetes.pod.name', 'com.amazonaws.ecs.cluster'],
      ...['com.hashicorp.nomad.alloc_id', 'com.gitlab.gitlab-runner.job.id'],
      'com.docker.swarm.service.id'
    ].map((key) => [key, [labelled(key), 'managed by another tool']])
  ),
  'of-runner': [labelled('0a1b2c'), 'created by the runner for a job'],
  'with-exec': [web, 'has an exec session'],
  ...Object.fromEntries(
    ['/', '/var', '/run', '/var/run', '/run/podman', '/run/user/1000'].map(
      (path) => [
        `with${path.replaceAll('/', '-')}`,
        [['--volume', `${path}:/host`, ...web], 'has the Docker socket']
      ]
    )
  ),
  app: [[...project, ...web], 'same compose project as running container db'],
  base: [web, 'container side'],
  'with-volume': [
    ['--rm', '--volume', '/data', ...web],
    'Docker would also remove an anonymous volume (--rm) that is kept'
  ]
}

test('containers that others look after, use or need are never stopped', async () => {
  const all = {
    ...neverStopped,
    'with-socket': [
      ['--volume', `${engine().folder}/docker.sock:/docker.sock`, ...web],
      'has the Docker socket'
    ]
  } satisfies typeof neverStopped
  for (const [name, [args]] of Object.entries(all)) await run(name, ...args)
  await docker('exec', '--detach', 'with-exec', 'sleep', '600')
  await run('db', ...project, ...web)
  const join = ['run', '--detach', '--network', 'container:base']
  await docker(...join, '--name', 'side', ...web)
  await run('ran', ...web)
  // Part of the same project, but none of it stays.
  for (const name of ['one', 'two'])
    await run(name, ...labelled('com.docker.compose.project'))

  const rules = `container db keep\ncontainer side keep\n${stopAll.rules}`

  const plan = await stepLater({ rules, until: '24h', 'dry-run': 'true' })
  const done = await stepLater({ rules })

  expect(done.exitCode).toBe(0)
  for (const [name, [, why]] of Object.entries(all))
    for (const planned of [plan, done]) {
      const { outcome, reason, detail, stop } = resource(planned, name)
      expect({ name, outcome, reason, detail, stop }).toEqual({
        ...{ name, outcome: 'kept', reason: 'in-use' },
        detail: expect.stringContaining(why)
      })
    }
  for (const name of ['ran', 'one', 'two'])
    expect(resource(done, name)).toMatchObject({
      ...{ outcome: 'removed', stop: 'stopped' }
    })
  expect(await states()).toEqual(
    [...Object.keys(all), 'db', 'side'].map((name) => `${name} running`).sort()
  )
})

// Not in the contract: an engine in a chroot shows other mount points.
test('a process in a container finds the ID of the container', async () => {
  const id = await run('self', ...web)
  await mkdir(join(folder(), 'self'))
  await writeFile(
    join(folder(), 'self/mountinfo'),
    await docker('exec', 'self', 'cat', '/proc/self/mountinfo')
  )
  expect(await findSelf(folder())).toBe(id)
})

test('a container started with --rm goes when it is stopped; one with an anonymous volume only if volumes are included', async () => {
  await run('with-volume', '--rm', '--volume', '/data', ...web)
  await run('named', '--rm', '--volume', 'data:/data', ...web)
  await run('plain', '--rm', ...web)

  const done = await stepLater({ ...stopAll, until: '24h' })

  for (const name of ['plain', 'named'])
    expect(resource(done, name)).toMatchObject({
      ...{ action: 'remove', outcome: 'removed', stop: 'stopped' },
      detail: expect.stringContaining(
        'stopped first; Docker removes --rm containers once stopped'
      )
    })
  expect(await states()).toEqual(['with-volume running'])

  const all = await stepLater({
    ...{ ...stopAll, 'include-volumes': 'anonymous', until: '24h' }
  })

  expect(resource(all, 'with-volume')).toMatchObject({
    ...{ outcome: 'removed', stop: 'stopped' }
  })
  expect(await contents()).toMatchObject({ containers: [], volumes: ['data'] })
})

test('while a job runs, only what was started before it is stopped; nothing where jobs cannot be seen', async () => {
  await run('before', ...web)
  // The clocks of processes count in hundredths of a second, so a second apart counts as the same time.
  await docker('run', '--rm', '--network', 'none', 'busybox:1', 'sleep', '1.2')
  const end = await startOther()
  try {
    await run('after', ...web)

    // Not the machine's first PID namespace.
    const hidden = ['unshare', '--map-root-user', '--pid', '--fork']
    const unseen = await stepLater(stopAll, {
      above: [...hidden, '--mount-proc']
    })

    for (const name of ['before', 'after'])
      expect(resource(unseen, name)).toMatchObject({
        outcome: 'kept',
        detail: expect.stringContaining(
          'not stopped: the jobs on this host cannot be seen'
        )
      })

    const done = await stepLater(stopAll)

    expect(resource(done, 'before').outcome).toBe('removed')
    expect(resource(done, 'after')).toMatchObject({
      outcome: 'kept',
      detail: expect.stringContaining(
        'not stopped: started after a running job began'
      )
    })
    expect(await states()).toEqual(['after running'])
  } finally {
    await end()
  }
  expect(resource(await stepLater(stopAll), 'after').outcome).toBe('removed')
})

test.each(['0s', '24h'])(
  'with until %s, a container that is used between the listing and its stop runs on',
  async (until) => {
    for (const name of ['with-exec', 'restarted', 'joined', 'ran'])
      await run(name, ...web)
    await run('app', ...project, ...web)
    await create('db', '--label', 'keep=', ...project, ...web)
    // Only one of each project is used.
    for (const name of ['first-1', 'first-2', 'last-1', 'last-2']) {
      const [of = ''] = name.split('-')
      await run(name, '--label', `com.docker.compose.project=${of}`, ...web)
    }

    const done = await stepLater(
      { ...stopAll, until, 'protected-labels': 'keep' },
      {
        hooks: `before_removal "$@" && {
          $docker exec --detach with-exec sleep 600; $docker restart restarted first-1 last-2; $docker start db
          $docker run --detach --network container:joined --name side busybox:1 sleep 600; } >/dev/null`
      }
    )

    expect(done.exitCode).toBe(0)
    expect(await states()).toEqual([
      ...['app running', 'db running', 'first-1 running', 'first-2 running'],
      ...['joined running', 'last-1 running', 'last-2 running'],
      ...(until === '0s' ? [] : ['ran exited']),
      ...['restarted running', 'side running', 'with-exec running']
    ])
    for (const [name, why] of [
      ['with-exec', 'exec session started since the inventory was taken'],
      ['restarted', 'used since the inventory was taken, now running'],
      ['app', 'now needed by container db'],
      ['first-2', 'now needed by container first-1'],
      ['last-1', 'now needed by container last-2'],
      ['joined', 'now needed by container side']
    ] as const) {
      expect(resource(done, name)).toMatchObject({ ...changed, detail: why })
      expect(resource(done, name).stop).toBeUndefined()
    }
    expect(resource(done, 'ran').stop).toBe('stopped')
  }
)

test.each(['0s', '24h'])(
  'with until %s, a stop that fails is a failure with the engine’s words',
  async (until) => {
    const id = await run('stuck', ...web)
    await run('ran', ...web)

    // The engine's message for a process that the kernel does not release.
    const done = await stepLater(
      { ...stopAll, until },
      {
        hooks: `case "$1 $2 $*" in "container stop "*${id}*)
          for one; do case $one in ${id}) ;; ????????????????????????????????*) $docker stop $one ;; esac; done
          echo 'Error response from daemon: cannot stop container: ${id}: tried to kill container, but did not receive an exit event' >&2
          exit 1 ;; esac`
      }
    )

    expectCleanFailure(done, /did not receive an exit event/)
    expect(resource(done, 'stuck')).toMatchObject({
      outcome: 'failed',
      detail: expect.stringContaining('did not receive an exit event')
    })
    expect(resource(done, 'stuck').stop).toBeUndefined()
    expect(resource(done, 'ran').stop).toBe('stopped')
    expect(done.outputs['failed']).toBe('1')
    expect(await states()).toEqual([
      ...(until === '0s' ? [] : ['ran exited']),
      'stuck running'
    ])
  }
)

test('protected labels, include-containers: false and a rule that keeps win over stop-after', async () => {
  await run('pinned', ...labelled('pin'))
  await run('kept', ...web)
  const rules = `container kept keep\n${stopAll.rules}`

  const done = await stepLater({ rules, 'protected-labels': 'pin' })

  expect(resource(done, 'pinned').reason).toBe('protected-label')
  expect(resource(done, 'kept').reason).toBe('in-use')
  expect(done.outputs['skipped']).toBe('true')

  const none = await stepLater({ rules, 'include-containers': 'false' })

  expect(resource(none, 'pinned').reason).toBe('not-included')
  expect(none.outputs['skipped']).toBe('true')
  expect(await states()).toEqual(['kept running', 'pinned running'])
})

test.each([
  ['2', '3 of 4 images', '3'],
  ['50%', '3 of 4 images', '75%'],
  ['0', '1 of 1 container, 3 of 4 images', '3']
])(
  'with max-removals %s, a larger plan is only reported',
  async (limit, excess, enough) => {
    await load(oldImages(3))
    await run('ran', ...web)
    const before = await contents()
    const inputs = {
      rules: 'container * stop-after=30m until=24h',
      'max-removals': limit
    }
    const error = new RegExp(
      // In the log, the runner's percent sign is escaped.
      `Nothing was removed: the plan would change ${excess}, and max-removals is ${limit}(?:25)?\\.`
    )
    const apps = [0, 1, 2].map((index) => `app-${index}:1`)

    const plan = await stepLater({ ...inputs, 'dry-run': 'true' })

    expectCleanFailure(plan, error)
    for (const name of apps)
      expect(resource(plan, name).outcome).toBe('planned')
    expect(resource(plan, 'ran').stop).toBe('planned')

    const done = await stepLater(inputs)

    expectCleanFailure(done, error)
    expect(await contents()).toEqual(before)
    expect(await states()).toEqual(['ran running'])
    const held = {
      ...{ outcome: 'kept', reason: 'budget', heldBy: 'max-removals', bytes: 0 }
    }
    for (const name of apps)
      expect(resource(done, name)).toMatchObject({
        ...{ ...held, action: 'remove' },
        detail: expect.stringMatching(
          /^held by max-removals; loaded 60 min ago/
        )
      })
    expect(resource(done, 'ran')).toMatchObject({ ...held, action: 'keep' })
    expect(resource(done, 'ran').stop).toBeUndefined()
    expect(done.outputs).toMatchObject({
      ...{ 'removed-images': '0', 'removed-containers': '0', failed: '0' },
      ...{ 'reclaimed-bytes': '0', skipped: 'false' },
      'planned-bytes': plan.outputs['planned-bytes']
    })

    const within = await stepLater({ ...inputs, 'max-removals': enough })

    expect(within.exitCode).toBe(0)
    expect(within.outputs['removed-images']).toBe('3')
    expect(resource(within, 'ran').stop).toBe('stopped')
    expect((await contents()).references).toEqual(['busybox:1'])
  }
)
