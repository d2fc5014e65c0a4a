import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { execa } from 'execa'
import { happened } from '../../../src/model/dates.ts'
import { parseTime } from '../../../src/units.ts'
import { findOtherClis } from '../harness/clis.ts'
import { useEngine } from '../harness/engine.ts'
import { useRegistry } from '../harness/registry.ts'
import { resource } from '../harness/report.ts'
import { clockMoved, hour } from '../harness/standIn.ts'
import { containerd, onlyOnDocker, podman } from '../harness/target.ts'
import { everything, imagesOfAnyDate, oldImage } from '../harness/things.ts'
import { createFacts, inspectOne, printing, readLines } from './fact.ts'

const tests = useEngine()
const { docker: real, engine, load, build, create, run, step } = tests
const { contents, folder } = tests
const { publish, pull } = useRegistry(tests)
const fact = createFacts(tests)

type Image = { Created?: string; Metadata: { LastTagTime: string } }
type Container = {
  Created: string
  State: { Status: string; StartedAt: string; FinishedAt: string }
}

const never = '0001-01-01T00:00:00Z'

test('after the engine’s clock was set back, resources dated in the future are kept as of unknown age', async () => {
  await load([oldImage('app')])
  await create('ran', 'busybox:1', 'true')
  await real('start', 'ran')
  await real('wait', 'ran')
  await real('network', 'create', 'net')
  await real('volume', 'create', 'data')
  const before = await contents()
  const inputs = { ...everything, 'include-volumes': 'all', until: '1s' }
  const remembering = { ...inputs, 'state-dir': folder() }
  // The times that this run stores are in the future for the next one.
  await step({ ...remembering, 'dry-run': 'true' })

  const done = await step({
    ...remembering,
    docker: await tests.dockerThat(clockMoved(-hour))
  })

  expect(done.exitCode).toBe(0)
  expect(await contents()).toEqual(before)
  expect(resource(done, 'ran').reason).toBe('unknown-age')
})

function expectRecent(time: string | undefined): void {
  const age = Date.now() - (parseTime(time ?? '') ?? 0)
  expect(age).toBeGreaterThan(-5_000)
  expect(age).toBeLessThan(120_000)
}

fact(
  'F3',
  'the creation date of an image is its build date, or not plausible',
  printing('image inspect', 's/1980-01-01/2020-01-01/'),
  async ({ docker }) => {
    await load(imagesOfAnyDate)
    const dateOf = async (name: string) => {
      const image = await inspectOne<Image>(docker, 'image', `${name}:1`)
      return happened(parseTime(image.Created ?? ''))
    }
    expect(await dateOf('old')).toBe(Date.parse('2024-05-01T12:00:00Z'))
    // Podman adds a date to an image without one.
    for (const name of ['epoch', 'dos', ...(podman ? [] : ['none'])])
      expect(await dateOf(name)).toBeUndefined()
  }
)

fact(
  'F1, F3, F5',
  'a freshly loaded image is kept, whatever its date: by the event log or by its tag date',
  `case "$1" in events) exit ;; esac
${printing('version --format', 's/Podman Engine/Engine/')}
${printing('image inspect', 's/"LastTagTime": "[^"]*"/"LastTagTime": "2024-05-02T12:00:00Z"/; s/"RepoDigests"/"None"/')}`,
  async ({ command, major }) => {
    await load(imagesOfAnyDate)
    const done = await step({ ...everything, until: '24h', docker: command })
    // Podman 4 does not log which image it loaded.
    const silent = podman && major < 5
    for (const name of ['epoch', 'dos', 'old', 'none'])
      expect(resource(done, `${name}:1`)).toMatchObject({
        action: 'keep',
        reason: silent ? 'unknown-age' : 'recent',
        detail: silent
          ? expect.stringMatching(/^last use unknown/)
          : expect.stringMatching(/^(?:loaded|tagged) \d+ s ago$/)
      })
  }
)

const otherDates = printing(
  'image inspect',
  's/"LastTagTime": "[^"]*"/"LastTagTime": "2024-05-01T12:00:00Z"/'
)

fact(
  'F2',
  'storage drivers date only local tags, the containerd store all tags, and Podman none',
  otherDates,
  async ({ docker }) => {
    const [published] = await publish([oldImage('pulled')])
    if (!published) throw new Error('not published')
    await pull([published.tag])
    await load([oldImage('loaded'), oldImage('tagged')])
    await real('tag', 'tagged:1', 'tagged:2')
    await build('FROM busybox:1\nLABEL built=1\n', { tag: 'built:1' })
    const dateOf = async (name: string) =>
      (await inspectOne<Image>(docker, 'image', name)).Metadata.LastTagTime
    for (const name of [published.tag, 'loaded:1'])
      if (containerd) expectRecent(await dateOf(name))
      else expect(await dateOf(name)).toBe(never)
    for (const name of ['tagged:1', 'built:1'])
      if (podman) expect(await dateOf(name)).toBe(never)
      else expectRecent(await dateOf(name))
  }
)

type Event = { Type: string; Action: string; Actor: { Attributes: Names } }
type Names = { name?: string }

const seconds = () => (Date.now() / 1_000).toFixed(3)

createFacts(tests, onlyOnDocker('buildx'))(
  'F2, F5',
  'a buildx build leaves a dated tag and an event, except on Docker 20.10',
  otherDates,
  async ({ docker, major }) => {
    const { buildx } = await findOtherClis()
    const since = seconds()
    await writeFile(join(folder(), 'Dockerfile'), 'FROM busybox:1\nLABEL a=1\n')
    await execa(buildx, ['build', '--tag', 'built:1', folder()], {
      env: { DOCKER_HOST: engine().host, DOCKER_CONFIG: folder() }
    })

    const { Metadata } = await inspectOne<Image>(docker, 'image', 'built:1')
    const log = await docker(
      ...['events', '--since', since, '--until', seconds()],
      ...['--format', '{{json .}}']
    )
    const tags = readLines<Event>(log).filter(
      ({ Type, Action, Actor }) =>
        Type === 'image' &&
        Action === 'tag' &&
        Actor.Attributes.name === 'built:1'
    )
    if (major < 23) expect(Metadata.LastTagTime).toBe(never)
    else expectRecent(Metadata.LastTagTime)
    expect(tags).toHaveLength(major < 23 ? 0 : 1)
  }
)

fact(
  'F6, F12',
  'a container that never started has no start and end time; a restarted one has the end time of its previous run',
  printing(
    'container inspect',
    's/"0001-01-01T00:00:00Z"/"2024-05-01T12:00:00Z"/; s/"StartedAt": "[^"]*"/"StartedAt": "2024-05-01T12:00:00Z"/'
  ),
  async ({ docker }) => {
    const timesOf = async (name: string) => {
      const { Created, State } = await inspectOne<Container>(
        docker,
        'container',
        name
      )
      expectRecent(Created)
      const { StartedAt, FinishedAt } = State
      return { started: StartedAt, ended: FinishedAt }
    }
    await create('new', 'busybox:1', 'true')
    expect(await timesOf('new')).toEqual({ started: never, ended: never })

    await run('again', 'busybox:1', 'sleep', '600')
    const running = await timesOf('again')
    expectRecent(running.started)
    expect(running.ended).toBe(never)
    await real('kill', 'again')
    await real('wait', 'again')
    const { ended } = await timesOf('again')
    expectRecent(ended)
    await real('start', 'again')
    const again = await timesOf('again')
    expect(again.ended).toBe(ended)
    expect(parseTime(again.started)).toBeGreaterThan(parseTime(ended) ?? NaN)
  }
)

fact(
  'F7',
  'inspect prints times in RFC 3339, in whole seconds for volumes',
  printing('network inspect', '/"Created"/s/T/ /'),
  async ({ docker }) => {
    await real('network', 'create', 'net')
    await real('volume', 'create', 'data')
    const { Created } = await inspectOne<Image>(docker, 'image', 'busybox:1')
    expect(parseTime(Created ?? '')).toBeDefined()
    const network = await inspectOne<{ Created: string }>(
      docker,
      'network',
      'net'
    )
    expectRecent(network.Created)
    const { CreatedAt } = await inspectOne<{ CreatedAt: string }>(
      docker,
      'volume',
      'data'
    )
    expectRecent(CreatedAt)
    expect(CreatedAt).toMatch(/T\d\d:\d\d:\d\d(?:Z|[+-])/)
    const info = await docker('info', '--format', '{{json .}}')
    const { SystemTime } = JSON.parse(info) as { SystemTime: string }
    expectRecent(SystemTime)
  }
)
