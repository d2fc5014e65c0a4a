import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { execa } from 'execa'
import {
  allVolumes,
  createBuilders,
  nameOf,
  stateOf
} from '../harness/builders.ts'
import { findOtherClis } from '../harness/clis.ts'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { onlyOnDocker, podman } from '../harness/target.ts'
import { polite } from '../harness/things.ts'
import { createFacts } from './fact.ts'

const tests = useEngine()
const { api, docker, engine, folder, build, step, contents } = tests
const { start, makeStopped, attachClient } = createBuilders(tests)

type Container = { Names: string[]; State: string }

/** Creates a builder with buildx, and stops it. */
async function createWithBuildx(name: string, node: string): Promise<void> {
  await build(`FROM busybox:1\nENTRYPOINT ${JSON.stringify(polite)}\n`, {
    tag: 'buildkit:1'
  })
  const { buildx } = await findOtherClis()
  const cancel = new AbortController()
  const creating = execa(
    buildx,
    [
      ...['create', '--name', name, '--driver', 'docker-container'],
      ...['--driver-opt', 'image=buildkit:1,network=none', '--bootstrap']
    ],
    {
      env: { DOCKER_HOST: engine().host, DOCKER_CONFIG: folder() },
      cancelSignal: cancel.signal,
      // On SIGTERM, buildx would remove the container again.
      killSignal: 'SIGKILL',
      reject: false
    }
  )
  const ended = creating.finally(() => {
    cancel.abort()
  })
  // After creating the container, buildx waits for BuildKit, which never answers.
  let made: Container | undefined
  while (!cancel.signal.aborted) {
    const all = await api().get<Container[]>('/containers/json?all=1')
    made = all.find(({ Names }) => Names.includes(`/${nameOf(node)}`))
    if (made !== undefined && made.State !== 'created') cancel.abort()
    await sleep(50)
  }
  const { stderr } = await ended
  // Its output may lag behind.
  if (made === undefined) throw new Error(`no builder: ${stderr}`)
  await docker('stop', nameOf(node))
}

if (podman)
  test('builders are kept on Podman', async () => {
    await makeStopped('stopped0')
    await start('idle0')
    await docker('volume', 'create', stateOf('gone0'))
    const before = await contents()

    const done = await step({ ...allVolumes, 'include-builders': 'all' })

    expect(done.exitCode).toBe(0)
    expect(done.outputs['removed-builders']).toBe('0')
    for (const name of [nameOf('stopped0'), nameOf('idle0'), stateOf('gone0')])
      expect(resource(done, name)).toMatchObject({
        reason: 'not-included',
        detail: 'builders are not removed on Podman'
      })
    expect(await contents()).toEqual(before)
  })
else
  createFacts(tests)(
    'F24',
    'a buildx builder is a container and a volume with known names',
    'case "$1 $2" in "container ls") "$docker" "$@" | sed s/buildx_/other_/; exit ;; esac',
    async ({ docker, command }) => {
      await createWithBuildx('Some.One', 'some.one0')
      const list = [
        'ls',
        '--all',
        '--format',
        '{{.Names}} {{.Mounts}}',
        '--no-trunc'
      ]
      expect(await docker('container', ...list)).toBe(
        `${nameOf('some.one0')} ${stateOf('some.one0')}`
      )

      const done = await step({
        ...allVolumes,
        'include-builders': 'stopped',
        docker: command
      })

      expect(done.outputs).toMatchObject({
        'removed-builders': '1',
        'removed-containers': '0',
        'removed-images': '1'
      })
      expect(await contents()).toMatchObject({ containers: [], volumes: [] })
    }
  )

onlyOnDocker('removal of volumes by exact name')(
  'a stopped builder is removed, and a running one is kept',
  async () => {
    await makeStopped('stopped0')
    await start('idle0')
    await start('busy0')
    await attachClient('busy0')

    const plan = await step({
      ...allVolumes,
      'include-builders': 'all',
      'dry-run': 'true'
    })
    expect(resource(plan, nameOf('idle0')).outcome).toBe('planned')
    expect(resource(plan, nameOf('busy0'))).toMatchObject({
      reason: 'in-use',
      detail: 'a client is connected'
    })

    const done = await step({ ...allVolumes, 'include-builders': 'stopped' })
    expect(done.outputs['removed-builders']).toBe('1')
    expect(await contents()).toMatchObject({
      containers: [nameOf('busy0'), nameOf('idle0')],
      volumes: [stateOf('busy0'), stateOf('idle0')]
    })
  }
)
