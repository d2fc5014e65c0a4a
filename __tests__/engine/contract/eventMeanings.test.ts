import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { expect, test } from '@jest/globals'
import type { Docker } from '../../../src/docker/cli.ts'
import { listContainers } from '../../../src/docker/containers.ts'
import { readEngine } from '../../../src/docker/engine.ts'
import {
  eventFormat,
  printEventLog,
  readEvents
} from '../../../src/docker/events.ts'
import { listImages } from '../../../src/docker/images.ts'
import { listNetworks } from '../../../src/docker/networks.ts'
import { eventReader } from '../../../src/model/events.ts'
import type { Engine, EngineEvent } from '../../../src/model/inventory.ts'
import { pathOf } from '../../../src/model/references.ts'
import { commands } from '../../../src/removal/commands.ts'
import { streamEvents } from '../../../src/removal/stream.ts'
import { createBuilders, nameOf, stateOf } from '../harness/builders.ts'
import { useEngine } from '../harness/engine.ts'
import { useRegistry } from '../harness/registry.ts'
import { containerd, onlyOnDocker, podman } from '../harness/target.ts'
import { idOf, oldImage, polite } from '../harness/things.ts'
import { type Asked, createFacts } from './fact.ts'

const tests = useEngine()
const { docker: real, load, build, create, run, folder, environment } = tests
const { publish, pull } = useRegistry(tests)
const { start: startBuilder } = createBuilders(tests)
const onDocker = onlyOnDocker('event stream that is trusted')
const fact = createFacts(tests, onDocker)

/** What the events of an action say together, with names for IDs. */
type Meaning = {
  /** As `image use`. */
  used: readonly string[]
  subjects: readonly string[]
  needy: readonly string[]
}

type Row = [
  name: string,
  action: () => Promise<unknown>,
  /** For a major version of the engine. */
  expected?: Partial<Meaning> | ((major: number) => Partial<Meaning>)
]

type Found = { meaning: Meaning; broken: Meaning; expected: Meaning }

/** Runs all actions, one after the other. Then each is tested, also with events that break it. */
function table(
  name: string,
  rows: readonly Row[],
  it: (name: string, body: () => Promise<void>) => void = test
): void {
  let done: Promise<Map<string, Found>> | undefined
  for (const [action] of rows)
    it(`F5, F34, F49: ${name}: ${action}`, async () => {
      done ??= runAll(rows)
      const found = (await done).get(action)
      expect(found?.meaning).toEqual(found?.expected)
      expect(found?.broken).not.toEqual(found?.expected)
    })
}

async function runAll(rows: readonly Row[]): Promise<Map<string, Found>> {
  const done = new Map<string, Found>()
  const engine = await readEngine(ask, {})
  let before = await list(engine)
  const major = Number.parseInt(engine.version, 10)
  for (const [name, action, expected = {}] of rows) {
    const since = Date.now()
    await action()
    const after = await list(engine)
    const found = await untilFound(since, [before, after], {
      ...{ used: [], subjects: [], needy: [] },
      ...(typeof expected === 'function' ? expected(major) : expected)
    })
    done.set(name, found)
    before = after
  }
  return done
}

/** Reads the log again for a while: the end of a container can be logged after the call that stops it. */
async function untilFound(
  since: number,
  listings: [Listing, Listing],
  expected: Meaning
): Promise<Found> {
  for (let tries = 1; ; tries += 1) {
    const lines = await readLog(since)
    const meaning = meaningOf(lines, ...listings)
    const broken = meaningOf(breakEvents(lines), ...listings)
    if (isDeepStrictEqual(meaning, expected) || tries === 5)
      return { meaning, broken, expected }
    await sleep(50)
  }
}

const seconds = (milliseconds: number) => (milliseconds / 1_000).toFixed(3)

const readLog = (since: number) =>
  real(
    ...['events', '--since', seconds(since)],
    ...['--until', seconds(Date.now() + (podman ? 1_000 : 20))],
    ...['--format', eventFormat]
  )

/** Events with other IDs, and one more for the actions that have none. */
const breakEvents = (lines: string) =>
  [
    lines.replaceAll(/"ID":"[^"]*"/g, '"ID":"other"'),
    '{"Type":"volume","Action":"create","Actor":{"ID":"other","Attributes":{"name":"other"}},"timeNano":1}'
  ].join('\n')

/** A container that came and went. */
const gone = 'gone'

type Listing = Awaited<ReturnType<typeof list>>

const ask: Docker = async (args) => ({
  ...{ exitCode: 0, stderr: '' },
  stdout: await real(...args)
})

async function list(engine: Engine) {
  const [{ found: images }, containers, { found: networks }] =
    await Promise.all([
      listImages(ask, engine, new Map()),
      listContainers(ask, engine),
      listNetworks(ask, engine)
    ])
  const names = new Map([
    ...images.map(
      ({ id, references: [first = 'untagged'] }) =>
        [id, pathOf(first).join('/')] as const
    ),
    ...[...containers, ...networks].map(({ id, name }) => [id, name] as const)
  ])
  return { engine, images, containers, names }
}

function meaningOf(lines: string, before: Listing, after: Listing): Meaning {
  const name = (id: string) =>
    before.names.get(id) ??
    after.names.get(id) ??
    id.replace(/^[0-9a-f]{64}$/, gone)
  const unique = (all: readonly string[]) => [...new Set(all)].sort()
  const readings = readEvents(lines, before.engine).map(eventReader(before))
  return {
    used: unique(
      readings.flatMap(({ used, use }) =>
        used.map((id) => `${name(id)} ${use}`)
      )
    ),
    subjects: unique(readings.flatMap(({ subjects }) => subjects.map(name))),
    needy: unique(readings.flatMap(({ needy }) => needy ?? []).map(name))
  }
}

const used = (...uses: string[]) => ({
  used: uses,
  subjects: uses.map((use) => use.split(' ')[0] ?? '')
})

const byContainer = (...names: string[]) =>
  names.map((name) => `${name} used by a container`)

const file = (name: string) => join(folder(), name)

table('images', [
  ['load new ones', () => load(['app', 'rival'].map((name) => oldImage(name)))],
  [
    'load again',
    () => load([oldImage('app')]),
    // Podman 4 does not log which image it loaded.
    (major) => (podman && major < 5 ? {} : used('app loaded'))
  ],
  ['tag', () => real('tag', 'app:1', 'copy:1'), used('app tagged')],
  ['tag again', () => real('tag', 'app:1', 'copy:1'), used('app tagged')],
  [
    'tag with a name of another image',
    () => real('tag', 'app:1', 'rival:1'),
    { used: ['app tagged'], subjects: ['app', 'rival'] }
  ],
  [
    'load a new one with a name of another image, which has no event',
    () => load([{ ...oldImage('thief'), references: ['copy:1'] }])
  ],
  [
    'save',
    () => real('save', '--output', file('saved'), 'app:1'),
    used('app saved')
  ],
  ['import', () => real('import', file('saved'), 'imported:1')],
  ['untag', () => real('image', 'rm', 'rival:1'), { subjects: ['app'] }],
  ['delete', () => real('image', 'rm', 'app:1'), { subjects: ['app'] }]
])

let tag = ''

table(
  'registry',
  [
    [
      'pull a new one',
      async () => {
        const [one] = await publish([oldImage('repo')])
        tag = one?.tag ?? ''
        await pull([tag])
      }
    ],
    ['pull again', () => pull([tag]), used('repo pulled')],
    [
      'pull all tags',
      () => real('pull', '--all-tags', tag.replace(/:1$/, '')),
      used('repo pulled')
    ],
    ['push', () => real('push', tag), used('repo pushed')]
  ],
  onDocker
)

const dockerfile = 'FROM busybox:1\nLABEL built=yes\n'

table(
  'classic builder',
  [
    [
      'build',
      () => build(dockerfile, { tag: 'built:1' }),
      {
        used: byContainer('busybox'),
        subjects: ['busybox', gone],
        needy: [gone]
      }
    ],
    [
      'build again with the tag',
      () => build(dockerfile, { tag: 'built:1' }),
      used('built tagged')
    ],
    ['build again without a tag, which has no event', () => build(dockerfile)]
  ],
  onDocker
)

const buildKit = (options: { tag?: string } = {}) =>
  build('FROM busybox:1\nCOPY Dockerfile /\n', { ...options, buildKit: true })

table(
  'BuildKit',
  [
    ['build', () => buildKit({ tag: 'built:1' })],
    [
      'build again with the tag',
      () => buildKit({ tag: 'built:1' }),
      (major) => {
        // A new image on the containerd store.
        if (containerd) return { subjects: ['built'] }
        if (major < 28) return used('built tagged')
        return { used: ['built built', 'built tagged'], subjects: ['built'] }
      }
    ],
    [
      'build again without a tag',
      () => buildKit(),
      (major) => (containerd || major < 28 ? {} : used('built built'))
    ]
  ],
  onDocker
)

table(
  'containers',
  [
    [
      'create a network',
      () => real('network', 'create', 'net'),
      used('net created')
    ],
    [
      'create a volume',
      () => real('volume', 'create', 'data'),
      used('data created')
    ],
    [
      'create',
      () =>
        real(
          ...['create', '--name', 'user', '--network', 'net'],
          ...['--volume', 'data:/data', 'busybox:1', ...polite]
        ),
      (major) => {
        const old = major < 23
        return {
          used: [...byContainer('busybox'), ...(old ? ['data created'] : [])],
          subjects: ['busybox', ...(old ? ['data'] : []), 'user'],
          needy: ['user']
        }
      }
    ],
    [
      'start',
      () => real('start', 'user'),
      {
        used: byContainer('busybox', 'data', 'net'),
        subjects: ['busybox', 'data', 'net', 'user'],
        needy: ['user']
      }
    ],
    ['exec', () => real('exec', 'user', 'true'), { subjects: ['user'] }],
    [
      'commit',
      () => real('commit', 'user', 'committed:1'),
      { subjects: ['user'] }
    ],
    [
      'disconnect',
      () => real('network', 'disconnect', 'net', 'user'),
      used(...byContainer('net'))
    ],
    [
      'connect',
      () => real('network', 'connect', 'net', 'user'),
      { ...used(...byContainer('net')), needy: ['user'] }
    ],
    [
      'rename',
      () => real('rename', 'user', 'renamed'),
      { subjects: ['user'], needy: ['user'] }
    ],
    [
      'restart',
      () => real('restart', 'renamed'),
      {
        used: byContainer('busybox', 'data', 'net'),
        subjects: ['busybox', 'data', 'net', 'renamed'],
        needy: ['renamed']
      }
    ],
    [
      'stop',
      () => real('stop', 'renamed'),
      {
        used: byContainer('busybox', 'data', 'net'),
        subjects: ['busybox', 'data', 'net', 'renamed']
      }
    ],
    [
      'disconnect a stopped one, which has no event since Docker 28',
      () => real('network', 'disconnect', 'net', 'renamed'),
      (major) => (major < 28 ? used(...byContainer('net')) : {})
    ],
    [
      'connect a stopped one, which has no event',
      () => real('network', 'connect', 'net', 'renamed')
    ],
    [
      'remove',
      () => real('container', 'rm', 'renamed'),
      { subjects: ['renamed'] }
    ],
    [
      'remove a network',
      () => real('network', 'rm', 'net'),
      { subjects: ['net'] }
    ],
    [
      'remove a volume',
      () => real('volume', 'rm', 'data'),
      { subjects: ['data'] }
    ],
    [
      'create by ID',
      async () => create('by-id', await idOf(real, 'busybox:1')),
      {
        used: byContainer('busybox'),
        subjects: ['busybox', 'by-id'],
        needy: ['by-id']
      }
    ]
  ],
  onDocker
)

table(
  'builders',
  [
    [
      'start',
      () => startBuilder('one0'),
      {
        used: [
          `${stateOf('one0')} created`,
          ...byContainer(stateOf('one0'), 'busybox', 'none')
        ].sort(),
        subjects: ['busybox', nameOf('one0'), stateOf('one0'), 'none'].sort(),
        needy: [nameOf('one0')]
      }
    ],
    [
      'exec',
      () => real('exec', nameOf('one0'), 'true'),
      used(`${nameOf('one0')} used by a client`)
    ]
  ],
  onDocker
)

/** Hooks that edit what `docker events` prints, with a sed script. */
const printingEvents = (script: string) =>
  `case "$1" in events) "$docker" "$@" | sed --unbuffered '${script}'; exit ;; esac`

fact(
  'F34',
  'a removal as in the step has an event with the ID',
  printingEvents('s/"Action":"de/"Action":"/'),
  async ({ docker }) => {
    const [published] = await publish([oldImage('pulled')])
    if (published === undefined) throw new Error('not published')
    await pull([published.tag, published.pinned])
    await load([oldImage('app')])
    const ids = {
      container: [await create('user', 'busybox:1')],
      network: [await real('network', 'create', 'net')],
      image: await Promise.all(
        ['app:1', published.tag].map((name) => idOf(real, name))
      ),
      volume: [await real('volume', 'create', 'data')]
    }
    const since = Date.now()
    for (const kind of ['container', 'network', 'image', 'volume'] as const)
      await real(...commands[kind].args, '--', ...ids[kind])
    const lines = await docker(
      ...['events', '--since', seconds(since)],
      ...['--until', seconds(Date.now() + 20), '--format', eventFormat]
    )

    const events = readEvents(lines, { kind: 'docker' })
    expect(events.map(({ type, action, id }) => [type, action, id])).toEqual([
      ['container', 'destroy', ...ids.container],
      ['network', 'destroy', ...ids.network],
      ['image', 'untag', ids.image[0]],
      ['image', 'delete', ids.image[0]],
      ['image', 'untag', ids.image[1]],
      ['image', 'untag', ids.image[1]],
      ['image', 'delete', ids.image[1]],
      ['volume', 'destroy', ...ids.volume]
    ])
  }
)

/** Makes events before a stream starts, and one after that. Returns the stream when it has shown the last. */
async function listen({ command, answer }: Asked) {
  const docker: Docker = (args) => answer(...args)
  const engine = await readEngine(docker, {})
  await real('tag', 'busybox:1', 'early:1')
  const words = '"<&>\\ \u2028é'
  await run('named', '--label', `name=${words}`, 'busybox:1', ...polite)
  await real('exec', 'named', 'echo', words, 'x'.repeat(200))
  await real('container', 'rm', '--force', 'named')
  const over = new AbortController()
  const stream = streamEvents(engine, {
    ...{ command, signal: over.signal },
    env: await environment()
  })
  const seen: EngineEvent[] = []
  stream.listen((event) => seen.push(event))
  await real('volume', 'create', 'last')
  for (let tries = 0; tries < 250; tries += 1) {
    if (seen.some(({ id }) => id === 'last')) break
    await sleep(20)
  }
  const log = await printEventLog(docker, '1', stream.now() + 1)
  over.abort()
  const lines = log
    .split('\n')
    .filter((line) =>
      readEvents(line, engine).some(({ at }) => at > engine.now)
    )
  return { seen, stream, lines, engine }
}

fact(
  'F34',
  'a stream shows what has happened before it started, in order',
  'case "$1 $4" in "events --format") exec "$docker" events --format "$5" ;; esac',
  async (asked) => {
    const { seen, lines, engine } = await listen(asked)
    expect(seen.map(({ action }) => action)).toEqual(
      expect.arrayContaining(['tag', 'create', 'start', 'exec_die', 'destroy'])
    )
    expect(seen).toEqual(readEvents(lines.join('\n'), engine))
  }
)

fact(
  'F34',
  'the event log has the same text as a stream',
  `case "$1 $4" in "events --until") "$docker" "$@" | sed 's/"container"/ &/'; exit ;; esac`,
  async (asked) => {
    const { lines, stream } = await listen(asked)
    expect(lines.length).toBeGreaterThan(8)
    expect(lines.filter((line) => !stream.has(line))).toEqual([])
  }
)
