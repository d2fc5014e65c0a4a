import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import { execa } from 'execa'
import { readRefusal } from '../../../src/removal/refusal.ts'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { onlyOnDocker, podman } from '../harness/target.ts'
import { everything, idOf, oldImage, polite } from '../harness/things.ts'
import {
  createFacts,
  failing,
  inspectOne,
  printing,
  readLines,
  type Asked
} from './fact.ts'

const tests = useEngine()
const { docker: real, engine, load, create, run, step, contents } = tests
const fact = createFacts(tests)

type Mount = { Type: string; Name?: string; Source: string }
type Container = {
  Image: string
  Config: { Image: string }
  State: { Status: string; StartedAt: string; FinishedAt: string }
  HostConfig: {
    NetworkMode: string
    IpcMode: string
    PidMode: string
    Links: string[] | null
    Mounts?: Mount[] | null
  }
  Mounts: Mount[]
}

const changed = { outcome: 'kept', reason: 'changed' }

const stateOf = async ({ docker }: Pick<Asked, 'docker'>, name: string) =>
  (await inspectOne<Container>(docker, 'container', name)).State.Status

fact(
  'F12',
  'a container reports a known state, and the ID of its image even if the tag has moved',
  printing(
    'container inspect',
    's/"Image": "sha256:[^"]*"/"Image": "busybox:1"/; s/"Status": "paused"/"Status": "stopped"/'
  ),
  async (asked) => {
    const id = await idOf(real, 'busybox:1')
    await real('tag', 'busybox:1', 'moved:1')
    await create('created', 'moved:1', 'true')
    await load([oldImage('moved')])
    await run('running', 'busybox:1', 'sleep', '600')
    await run('paused', 'busybox:1', 'sleep', '600')
    await real('pause', 'paused')
    await run('exited', 'busybox:1', 'true')
    await real('wait', 'exited')
    // Podman reports `stopped` at first.
    while ((await stateOf({ docker: real }, 'exited')) === 'stopped')
      await sleep(50)
    for (const state of ['created', 'running', 'paused', 'exited'])
      expect(await stateOf(asked, state)).toBe(state)

    const { Image, Config } = await inspectOne<Container>(
      asked.docker,
      'container',
      'created'
    )
    expect(Image).toBe(id)
    expect(Config.Image).toBe(podman ? 'docker.io/library/moved:1' : 'moved:1')
    const rows = await asked.docker(
      ...['container', 'ls', '--all', '--no-trunc', '--format', '{{json .ID}}']
    )
    expect(readLines(rows)).toHaveLength(4)
  }
)

fact(
  'F10',
  'a running or paused container is refused; any other is removed, and its ID printed',
  failing('container rm', 'something else'),
  async ({ answer, major }) => {
    await run('running', 'busybox:1', 'sleep', '600')
    await run('paused', 'busybox:1', 'sleep', '600')
    await real('pause', 'paused')
    await create('created', 'busybox:1', 'true')
    for (const name of ['running', 'paused']) {
      const output = await answer('container', 'rm', '--', name)
      expect(output.exitCode).toBe(1)
      const refusal = readRefusal(output, 'container rm')
      // The message of 20.10 counts as a failure.
      if (name === 'paused' && major === 20)
        expect(refusal.detail).toMatch(/cannot remove a paused container/i)
      else expect(refusal).toMatchObject(changed)
    }
    const [{ Id }] = JSON.parse(
      await real('container', 'inspect', 'created')
    ) as [{ Id: string }]
    const gone = await answer('container', 'rm', '--', 'missing', Id)
    expect(gone.stdout.split('\n')).toContain(Id)
    expect((await contents()).containers).toEqual(['paused', 'running'])
  }
)

fact(
  'F10, F40',
  'inspect shows joined containers and inherited volumes; only Podman refuses to remove a joined one',
  printing(
    'container inspect',
    's/"container:[^"]*"/"none"/; s/"Type": "volume"/"Type": "bind"/'
  ),
  async ({ docker, answer }) => {
    const base = ['--volume', 'data:/data', '--volume', '/anonymous']
    await create('base', ...base, '--ipc', 'shareable', 'busybox:1', 'true')
    const join = (name: string, ...args: string[]) =>
      real('create', '--name', name, ...args, 'busybox:1', 'true')
    await join('net', '--network', 'container:base')
    await join('ipc', '--network', 'none', '--ipc', 'container:base')
    await join('pid', '--network', 'none', '--pid', 'container:base')
    await join('from', '--network', 'none', '--volumes-from', 'base')
    const inspected = (name: string) =>
      inspectOne<Container>(docker, 'container', name)
    const { Id } = await inspectOne<{ Id: string }>(real, 'container', 'base')

    const joined = expect.stringMatching(`^container:(?:base|${Id})$`)
    expect((await inspected('net')).HostConfig.NetworkMode).toEqual(joined)
    expect((await inspected('ipc')).HostConfig.IpcMode).toEqual(joined)
    expect((await inspected('pid')).HostConfig.PidMode).toEqual(joined)
    const volumesOf = async (name: string) =>
      (await inspected(name)).Mounts.filter(
        ({ Type }) => Type === 'volume'
      ).map((mount) => mount.Name)
    expect((await volumesOf('from')).sort()).toEqual(
      (await volumesOf('base')).sort()
    )
    expect(await volumesOf('base')).toHaveLength(2)

    const output = await answer('container', 'rm', '--', 'base')
    expect(output.exitCode).toBe(podman ? 1 : 0)
    if (podman)
      expect(readRefusal(output, 'container rm')).toMatchObject(changed)
  }
)

fact(
  'F10, F19',
  'from Docker 28 on, inspect shows the image that a container mounts; that image can still be removed',
  'case "$*" in *type=image*) exec "$docker" create --network none --name mounts busybox:1 ;; esac',
  async ({ docker, answer, command, major }) => {
    await load([oldImage('mounted'), oldImage('other')])
    const mounting = await answer(
      ...['create', '--network', 'none', '--name', 'mounts'],
      ...['--mount', 'type=image,source=mounted:1,target=/mnt', 'busybox:1']
    )
    if (!podman && major < 28) {
      expect(mounting.stderr).toMatch(/invalid mount config/)
      return
    }
    const { Mounts, HostConfig } = await inspectOne<Container>(
      docker,
      'container',
      'mounts'
    )
    const [mount] = Mounts
    expect(mount?.Type).toBe('image')
    if (podman) expect(mount?.Source).toBe('mounted:1')
    else {
      expect(mount?.Name).toBe('mounted:1')
      expect(HostConfig.Mounts).toMatchObject([{ Source: 'mounted:1' }])
    }
    const plan = await step({
      ...everything,
      'include-containers': 'false',
      'dry-run': 'true',
      docker: command
    })
    expect(resource(plan, 'mounted:1').reason).toBe('in-use')
    expect(resource(plan, 'other:1').outcome).toBe('planned')
    const id = await idOf(real, 'mounted:1')
    expect((await answer('image', 'rm', '--no-prune', id)).exitCode).toBe(0)
  }
)

/** Runs a function while a file of a container cannot be deleted. */
async function whileUndeletable(
  id: string,
  body: () => Promise<void>
): Promise<void> {
  // The engine's disk is mounted in a separate mount namespace.
  const root = join('/proc', String(engine().pid), 'root', engine().folder)
  const file = join(root, 'data/containers', id, 'stays')
  await writeFile(file, '')
  await execa('chattr', ['+i', file])
  try {
    await body()
  } finally {
    await execa('chattr', ['-i', file])
  }
}

createFacts(tests, onlyOnDocker('dead containers'))(
  'F45',
  'a container that cannot be deleted is dead, with unchanged times, until it can be',
  printing('container inspect', 's/"dead"/"removing"/'),
  async (asked) => {
    await create('dead', 'busybox:1', 'true')
    const { Id, State } = await inspectOne<Container & { Id: string }>(
      real,
      'container',
      'dead'
    )
    await whileUndeletable(Id, async () => {
      const output = await asked.answer('container', 'rm', '--', Id)
      expect(output.exitCode).toBe(1)
      expect(readRefusal(output, 'container rm').outcome).toBe('failed')
      const { StartedAt, FinishedAt } = State
      expect(
        (await inspectOne<Container>(asked.docker, 'container', Id)).State
      ).toMatchObject({ Status: 'dead', StartedAt, FinishedAt })
    })
    expect(await asked.docker('container', 'rm', '--', Id)).toBe(Id)
    expect((await contents()).containers).toEqual([])
  }
)

onlyOnDocker('dead containers')(
  'a failed removal fails the run and reports the engine’s message',
  async () => {
    const id = (await create('stuck', 'busybox:1', 'true')).trim()
    await create('other', 'busybox:1', 'true')
    await whileUndeletable(id, async () => {
      const done = await step(everything)

      expect(done.exitCode).toBe(1)
      expect(resource(done, 'stuck')).toMatchObject({
        outcome: 'failed',
        detail: expect.stringMatching(/operation not permitted/)
      })
      expect(resource(done, 'other').outcome).toBe('removed')
      expect(done.summary).toContain('operation not permitted')
    })
    expect((await step(everything)).exitCode).toBe(0)
    expect((await contents()).containers).toEqual([])
  }
)

fact(
  'rule 14',
  'docker stop prints every container, including exited ones and those with --rm',
  'case "$1 $2" in "container stop") for last; do :; done; exec "$docker" container stop "$last" ;; esac',
  async (asked) => {
    const ids: string[] = []
    for (const name of ['one', 'two'])
      ids.push(await run(name, 'busybox:1', ...polite))
    ids.push(await run('short', '--rm', 'busybox:1', ...polite))
    ids.push(await run('ended', 'busybox:1', 'true'))
    await real('wait', 'ended')
    const stopped = await asked.docker(
      ...['container', 'stop', '--time', '10', '--', ...ids]
    )
    // Docker 28 also prints a warning.
    const named = stopped.split('\n').filter((line) => line.length === 64)
    expect(named.sort()).toEqual(ids.toSorted())
    expect(await stateOf(asked, 'one')).toBe('exited')
  }
)

createFacts(tests, onlyOnDocker('container ls --filter since'))(
  'F36',
  'ls --filter since prints later containers, and fails if the given one is gone',
  'case "$1 $2" in "container ls") exec "$docker" container ls --all --no-trunc --format "{{json .ID}}" ;; esac',
  async ({ answer }) => {
    const ids: string[] = []
    for (const name of ['first', 'second', 'third'])
      ids.push(await create(name, 'busybox:1', 'true'))
    const since = () =>
      answer(
        ...[
          'container',
          'ls',
          '--all',
          '--no-trunc',
          '--format',
          '{{json .ID}}'
        ],
        ...['--filter', `since=${ids[0] ?? ''}`]
      )
    expect(readLines((await since()).stdout)).toEqual(ids.slice(1).reverse())
    await real('container', 'rm', 'first')
    expect((await since()).exitCode).toBe(1)
  }
)
