import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import { execa } from 'execa'
import { imageId, isPodman } from '../../../src/docker/podman.ts'
import { useEngine } from '../harness/engine.ts'
import { useRegistry } from '../harness/registry.ts'
import { podman } from '../harness/target.ts'
import { idOf, oldImage } from '../harness/things.ts'
import { createFacts, printing, readLines } from './fact.ts'

const tests = useEngine()
const { docker: real, engine, api, load, create, overflowLog } = tests
const { publish, pull } = useRegistry(tests)
const fact = createFacts(tests)

type Event = {
  Type: string
  Action: string
  Actor: { ID: string; Attributes: Record<string, string> }
  timeNano: number
}

/** A time for `events`. Podman stops reading its log at that time, however far it got. */
const seconds = (later = podman ? 1_000 : 20) =>
  ((Date.now() + later) / 1_000).toFixed(3)

const readLog = async (
  ask: (...args: string[]) => Promise<string>,
  { since = '1', until = seconds() } = {}
): Promise<Event[]> =>
  readLines<Event>(
    await ask(
      ...['events', '--since', since, '--until', until],
      ...['--format', '{{json .}}']
    )
  )

/** Returns the ID and attributes of all events of a type and action. */
const find = (
  log: readonly Event[],
  type: string,
  action: string
): Record<string, string>[] =>
  log
    .filter(({ Type, Action }) => Type === type && Action === action)
    .map(({ Actor: { ID, Attributes } }) => ({ id: ID, ...Attributes }))

fact(
  'F5, F33',
  'image events have the ID, and the tag, except for loads',
  `case "$1" in events) "$docker" "$@" | sed 's/"ID":"[^"]*"/"ID":"other"/; s/"name":"[^"]*"/"name":"other"/'; exit ;; esac`,
  async ({ docker, major }) => {
    const [published] = await publish([oldImage('pulled')])
    if (!published) throw new Error('not published')
    const since = seconds(0)
    await load([oldImage('loaded')])
    await real('tag', 'loaded:1', 'acme/tagged:2')
    await pull([published.tag, published.pinned])
    const loaded = await idOf(real, 'loaded:1')
    const pulled = await idOf(real, published.tag)
    await real('image', 'rm', 'acme/tagged:2')
    await real('image', 'rm', 'loaded:1')

    const log = await readLog(docker, { since })

    const found = (action: string) =>
      find(log, 'image', action)
        .map(({ id = '', name }) => [imageId(id), name])
        .sort()
    expect(found('tag')).toContainEqual([
      loaded,
      podman ? 'docker.io/acme/tagged:2' : 'acme/tagged:2'
    ])
    if (podman) {
      // The name is that of a file; Podman 4 has no ID.
      expect(found('loadfromarchive')).toEqual([
        [major < 5 ? '' : loaded, expect.stringMatching(/^\/.*\/api_load/)]
      ])
      const id = major < 5 ? '' : pulled
      expect(found('pull')).toEqual(
        [published.tag, published.pinned].map((name) => [id, name]).sort()
      )
      expect(found('untag').map(([id]) => id)).toEqual([loaded, loaded])
    } else {
      expect(found('load')).toEqual([[loaded, loaded]])
      // On a pull, the ID is the reference.
      const [repository] = published.pinned.split('@')
      expect(found('pull')).toEqual(
        [published.tag, published.pinned].map((id) => [id, repository]).sort()
      )
      expect(found('untag').map(([id]) => id)).toEqual([loaded, loaded])
      expect(found('delete').map(([id]) => id)).toEqual([loaded])
    }
  }
)

fact(
  'F5, F41, F49',
  'container events have the image as typed, whatever the labels',
  `case "$1" in events) "$docker" "$@" | sed 's/"image":"[^"]*"/"image":"other"/g'; exit ;; esac`,
  async ({ docker }) => {
    const since = seconds(0)
    await real('tag', 'busybox:1', 'typed:x')
    const labels = ['image', 'name', 'container'].flatMap((label) => [
      '--label',
      `${label}=label`
    ])
    await create('named', ...labels, 'typed:x', 'true')
    await real('start', '--attach', 'named')
    const id = await idOf(real, 'busybox:1')
    await create('numbered', id, 'true')
    await real('container', 'rm', 'named', 'numbered')

    const log = await readLog(docker, { since })

    const named = { name: 'named', image: 'typed:x' }
    if (podman) named.image = 'docker.io/library/typed:x'
    for (const action of ['create', 'start', 'die'])
      expect(find(log, 'container', action)).toEqual(
        expect.arrayContaining([expect.objectContaining(named)])
      )
    const [, other] = find(log, 'container', 'create')
    // Podman substitutes a name of the image.
    expect(other).toMatchObject({
      name: 'numbered',
      image: podman ? expect.stringMatching(/^docker\.io\/library\//) : id
    })
    const gone = find(log, 'container', podman ? 'remove' : 'destroy')
    expect(gone.map(({ name }) => name).sort()).toEqual(['named', 'numbered'])
  }
)

fact(
  'F5, F49',
  'volumes and networks have events on creation, and when a container starts and ends',
  `case "$1" in events) "$docker" "$@" | sed '/"Action":"[cm]/d'; exit ;; esac`,
  async ({ docker, major }) => {
    const since = seconds(0)
    await real('volume', 'create', 'data')
    const net = await real('network', 'create', 'net')
    const args = ['--volume', 'data:/data', 'busybox:1', 'true']
    await real('create', '--name', 'user', '--network', 'net', ...args)
    const before = await readLog(docker, { since })
    await real('start', '--attach', 'user')
    await real('wait', 'user')
    const user = await real('ps', '--all', '--quiet', '--no-trunc')
    const log = await readLog(docker, { since })

    if (podman) {
      const [volume] = find(log, 'volume', 'create')
      expect(volume).toMatchObject({ id: '', name: 'data' })
      const networks = find(log, 'network', 'create').map(({ id }) => id)
      expect(networks).toEqual(major < 5 ? [] : [net])
      for (const action of ['mount', 'unmount', 'connect', 'disconnect'])
        expect(log.some(({ Action }) => Action === action)).toBe(false)
      return
    }
    expect(find(log, 'volume', 'create').map(({ id }) => id)).toContain('data')
    expect(find(log, 'network', 'create').map(({ id }) => id)).toEqual([net])
    const uses = [
      ['volume', 'mount', 'data'],
      ['volume', 'unmount', 'data'],
      ['network', 'connect', net],
      ['network', 'disconnect', net]
    ] as const
    for (const [type, action, id] of uses) {
      expect(find(before, type, action)).toEqual([])
      expect(find(log, type, action)).toEqual([
        expect.objectContaining({ id, container: user })
      ])
    }
  }
)

fact(
  'F5, F59',
  'the event log has the last 256 events, oldest first; Podman keeps all',
  `case "$1" in events) "$docker" "$@" | tail -n 255; exit ;; esac`,
  async ({ docker }) => {
    await real('tag', 'busybox:1', 'before:1')
    const since = podman ? seconds(0) : '1'
    await overflowLog()
    const log = await readLog(docker, { since })
    if (podman) {
      expect(log.length).toBeGreaterThanOrEqual(260)
      return
    }
    expect(log).toHaveLength(256)
    expect(find(log, 'image', 'tag')).toEqual([])
    const times = log.map(({ timeNano }) => timeNano)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
  }
)

fact(
  'F51',
  'events --until a future time waits for that time',
  `case "$1" in events) exec "$docker" events --since 1 --until 2 ;; esac`,
  async ({ docker }) => {
    const start = Date.now()
    const log = readLog(docker, { until: seconds(2_000) })
    await sleep(500)
    await api().post('/volumes/create', { Name: 'meanwhile' })
    const volumes = find(await log, 'volume', 'create')
    expect(Date.now() - start).toBeGreaterThanOrEqual(1_900)
    expect(
      volumes.some((one) => Object.values(one).includes('meanwhile'))
    ).toBe(true)
  }
)

fact(
  'F34',
  'events arrive in order',
  `case "$1" in events) "$docker" "$@" | sed --unbuffered '/"Action":"tag"/d'; exit ;; esac`,
  async ({ command }) => {
    const over = new AbortController()
    const stream = execa(
      command,
      ['events', '--since', seconds(0), '--format', '{{json .}}'],
      {
        env: { DOCKER_HOST: engine().host },
        buffer: false,
        reject: false,
        cancelSignal: over.signal,
        killDescendants: true
      }
    )
    const seen: Event[] = []
    const names = () =>
      seen.flatMap(({ Actor }) => [Actor.ID, Actor.Attributes['name']])
    createInterface({ input: stream.stdout }).on('line', (line) => {
      seen.push(JSON.parse(line) as Event)
    })
    const until = async (name: string) => {
      for (let tries = 0; tries < 300 && !names().includes(name); tries += 1)
        await sleep(50)
    }
    try {
      await real('volume', 'create', 'first')
      await until('first')
      await load([oldImage('app')])
      await real('tag', 'app:1', 'app:2')
      // The same tag again.
      await real('tag', 'app:1', 'app:2')
      await create('user', 'app:1', 'true')
      await real('volume', 'create', 'last')
      await until('last')
      // Podman logs some events late.
      if (podman) await sleep(1_000)
      expect(find(seen, 'image', 'tag')).toHaveLength(2)
      expect(find(seen, 'container', 'create')).toHaveLength(1)
      const loads = podman ? 'loadfromarchive' : 'load'
      expect(find(seen, 'image', loads)).toHaveLength(1)
    } finally {
      over.abort()
      await stream
    }
  }
)

type Version = { Server: { Components: { Name: string }[] } }

fact(
  'F33',
  'the components of the server identify Podman',
  printing('version --format', 's/"Name":"[^"]*Engine"/"Name":"Other"/'),
  async ({ docker }) => {
    const json = await docker('version', '--format', '{{json .}}')
    const { Server } = JSON.parse(json) as Version
    expect(isPodman(Server.Components)).toBe(podman)
    expect(Server.Components.map(({ Name }) => Name)).toContain(
      podman ? 'Podman Engine' : 'Engine'
    )
  }
)
