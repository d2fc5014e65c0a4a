import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import type { Docker } from '../../src/docker/cli.ts'
import { readEvents } from '../../src/docker/events.ts'
import type { Inspectable } from '../../src/docker/inspect.ts'
import type {
  EngineEvent,
  Image,
  Inventory
} from '../../src/model/inventory.ts'
import {
  createGuard,
  expectRemoved,
  look,
  trustsStream,
  whileRemoving
} from '../../src/removal/guard.ts'
import { noStream, type EventStream } from '../../src/removal/stream.ts'
import { image, inventory, now } from '../builders.ts'

const ids = ['sha256:a', 'sha256:b']
const images = ids.map((id) => image(id, { references: [`${id.at(-1)}:1`] }))

/** A line of the log, `at` milliseconds after the listing. */
function line(at: number, action: string, id: string, type = 'image'): string {
  const Actor = { ID: id, Attributes: {} }
  const timeNano = Math.round((now + at) * 1e6)
  return JSON.stringify({ Type: type, Action: action, Actor, timeNano })
}

type Answers = Record<string, () => string | Promise<string>>

const defaults: Answers = {
  'image inspect': () =>
    JSON.stringify(ids.map((Id) => ({ Id, RootFS: { Type: 'layers' } })))
}

/** A guard with a stream that shows what `say` is called with, and an engine that answers with `log` and `answers`. */
function start({
  log,
  answers = {},
  parts = {}
}: {
  log?: () => readonly string[]
  answers?: Answers
  parts?: Partial<Inventory>
} = {}) {
  const said: string[] = []
  const calls: string[] = []
  const whys: string[] = []
  const listeners: ((event: EngineEvent) => void)[] = []
  const times = () =>
    readEvents(said.join('\n'), { kind: 'docker' }).map(({ at }) => at)
  const stream: EventStream = {
    ...noStream,
    problem: () => undefined,
    listen: (onEvent) => listeners.push(onEvent),
    has: (line) => said.includes(line),
    first: () => times()[0] ?? Infinity,
    now: () => times().at(-1) ?? now
  }
  const docker: Docker = async ([one = '', two = '']) => {
    const name = one === 'events' ? one : `${one} ${two}`
    calls.push(name)
    const answer: Answers = {
      events: () => (log?.() ?? said).join('\n'),
      ...defaults,
      ...answers
    }
    return { exitCode: 0, stdout: (await answer[name]?.()) ?? '', stderr: '' }
  }
  const base = inventory({ images, ...parts })
  const guard = createGuard({
    ...{ docker, stream },
    inventory: { ...base, engine: { ...base.engine, now } },
    isGone: () => false,
    isStopped: () => false,
    takenOff: () => [],
    onFallback: (why) => whys.push(why)
  })
  const say = (...lines: string[]) => {
    for (const line of lines) {
      said.push(line)
      for (const event of readEvents(line, { kind: 'docker' }))
        for (const onEvent of listeners) onEvent(event)
    }
  }
  return { guard, say, calls, whys }
}

/** One whose stream has shown a removal by this run. */
async function startProven(options: Parameters<typeof start>[0] = {}) {
  const started = start(options)
  started.say(line(0, 'delete', 'sha256:first'))
  await expectRemoved(started.guard, ['sha256:first'])
  return started
}

test('once the stream has shown a removal, what no event speaks of is as it was, and the engine is not asked', async () => {
  const unproven = start()
  await look(unproven.guard, 'image', ids)
  expect(unproven.calls).toContain('image inspect')
  const { guard, calls, whys } = await startProven()
  const seen = await look(guard, 'image', ids)
  expect([...seen.images.values()]).toEqual(images)
  expect({ calls, whys }).toEqual({ calls: ['events'], whys: [] })
})

test.each<[string, Inspectable, Partial<Image>]>([
  ['a network', 'network', {}],
  ['an image that an earlier run has inspected', 'image', { remembered: true }],
  ['a dangling image on the containerd store', 'image', { references: [] }]
])('the engine is always asked about %s', async (_, kind, parts) => {
  const engine = { ...inventory().engine, store: 'containerd' }
  const networks = () => JSON.stringify(ids.map((Id) => ({ Id, Name: Id })))
  const { guard, calls } = await startProven({
    parts: { engine, images: images.map((one) => ({ ...one, ...parts })) },
    answers: { 'network inspect': networks }
  })
  await look(guard, kind, ids)
  expect(calls).toContain(`${kind} inspect`)
})

test.each<[string, (lines: string[]) => string[], string | undefined]>([
  ['has the same events', (lines) => lines, undefined],
  [
    'has one more',
    (lines) => [...lines, line(9, 'tag', ids[0] ?? '')],
    'lacks'
  ],
  ['has dropped the first', (lines) => lines.slice(1), 'more events than'],
  ['cannot be read', () => ['rubbish'], 'could not be read']
])('the log %s', async (_, change, why) => {
  const first = line(0, 'delete', 'sha256:first')
  const said = [1, 2, 3].map((at) => line(at, 'create', `v${at}`, 'volume'))
  const { guard, say, calls, whys } = await startProven({
    log: () => change([first, ...said])
  })
  say(...said)
  const seen = await look(guard, 'image', ids)
  expect(whys).toEqual(why === undefined ? [] : [expect.stringContaining(why)])
  expect(trustsStream(guard)).toBe(why === undefined)
  expect(calls.includes('container ls')).toBe(why !== undefined)
  expect(seen.usedSince('sha256:a')).toBe(
    why === 'lacks' ? 'tagged' : undefined
  )
})

test('older events that the log has dropped are not missed once there are newer ones', async () => {
  const log = [line(-5, 'create', 'v', 'volume')]
  const { guard, whys } = start({ log: () => log })
  await look(guard, 'image', ids)
  expect(whys).toEqual([])
})

test('the log is read again after 100 removals, and after 100 events without being asked', async () => {
  const { guard, say, calls } = await startProven()
  await look(guard, 'image', ids)
  await look(guard, 'image', ids)
  expect(calls).toHaveLength(1)
  const many = Array.from({ length: 100 }, (_, index) => String(index))
  await whileRemoving(guard, many, () => Promise.resolve())
  await look(guard, 'image', ids)
  expect(calls).toHaveLength(2)
  say(
    ...Array.from({ length: 100 }, (_, index) =>
      line(index, 'create', `v${index}`, 'volume')
    )
  )
  expect(calls).toHaveLength(3)
})

test('a removal is killed when an event speaks of one of its images, also between the look and the call', async () => {
  const { guard, say } = start()
  await look(guard, 'image', ids)
  const kill = await whileRemoving(guard, ids, (signal) => {
    say(line(1, 'tag', 'sha256:other'))
    expect(signal.aborted).toBe(false)
    say(line(2, 'tag', 'sha256:b'))
    return Promise.resolve(signal)
  })
  expect(kill.aborted).toBe(true)
  const next = await whileRemoving(guard, ids, (signal) =>
    Promise.resolve(signal)
  )
  expect(next.aborted).toBe(true)
})

test('a stream that does not show a removal by this run is no longer trusted', async () => {
  const { guard, say, whys } = start()
  say(line(1, 'delete', 'sha256:a'))
  await expectRemoved(guard, ['sha256:a'])
  expect(whys).toEqual([])
  await expectRemoved(guard, ids)
  expect(whys).toEqual([expect.stringContaining('lacks removals')])
})

test('every batch waits until a new container is inspected', async () => {
  const { promise: inspected, resolve: answer } =
    Promise.withResolvers<string>()
  const { guard, say, calls } = await startProven({
    answers: { 'container inspect': () => inspected }
  })
  say(line(1, 'create', 'c', 'container'))
  const looks = ids.map((id) => look(guard, 'image', [id]))
  while (!calls.includes('container inspect')) await sleep(1)
  answer(
    JSON.stringify([
      { Id: 'c', Name: '/new', Image: 'sha256:b', State: { Status: 'created' } }
    ])
  )
  for (const { needs } of await Promise.all(looks))
    expect(needs.images.get('sha256:b')).toMatchObject([{ name: 'new' }])
  expect(calls.filter((one) => one === 'container inspect')).toHaveLength(1)
})
