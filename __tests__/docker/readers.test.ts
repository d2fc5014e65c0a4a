import { expect, test } from '@jest/globals'
import { connectionError, DockerError } from '../../src/docker/cli.ts'
import { readCacheRecords } from '../../src/docker/inventory.ts'
import { pruneArguments, readTotal } from '../../src/docker/prune.ts'
import { inLevels, referencesToUntag } from '../../src/docker/removal.ts'
import {
  containerSchema,
  imageSchema,
  readJson,
  readJsonLines
} from '../../src/docker/schemas.ts'
import { remove } from '../../src/policy/decision.ts'
import type { Container, Image, Inventory } from '../../src/policy/inventory.ts'
import type { PlanItem } from '../../src/policy/plan.ts'

const digest = `sha256:${'a'.repeat(64)}`

function item(kind: PlanItem['kind'], id: string): PlanItem {
  return {
    kind,
    id,
    name: id,
    decision: remove('expired', ''),
    idle: 0,
    bytes: 0
  }
}

test.each([
  // 20.10, 26.1, 28.5
  [
    'Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?',
    'no-engine'
  ],
  ['error during connect: Get "http://x/v1.24/info": EOF', 'no-engine'],
  [
    'failed to connect to the docker API at unix:///x.sock; check if the path is correct',
    'no-engine'
  ],
  [
    'Got permission denied while trying to connect to the Docker daemon socket at unix:///x.sock: Get',
    'no-permission'
  ],
  [
    'permission denied while trying to connect to the docker API at unix:///x.sock',
    'no-permission'
  ],
  [
    'Failed to initialize: unable to resolve docker endpoint: context "x": context not found',
    'no-engine'
  ],
  [
    'Error response from daemon: client version 1.52 is too new. Maximum supported API version is 1.51',
    undefined
  ],
  [
    'Error response from daemon: error while mounting volume: dial unix /run/docker/plugins/x.sock: connection refused',
    undefined
  ],
  ['Error response from daemon: conflict: unable to delete', undefined],
  ['', undefined]
])('the words of a CLI: %s', (words, kind) => {
  expect(connectionError(words, {})?.kind).toBe(kind)
})

test('the message about an engine that is out of reach says where it was looked for', () => {
  const error = connectionError('Cannot connect to the Docker daemon', {
    DOCKER_HOST: 'tcp://127.0.0.1:1'
  })
  expect(error?.message).toContain('DOCKER_HOST is "tcp://127.0.0.1:1"')
})

test.each([
  ['Total:\t30.5MB\n', 30_500_000],
  ['ID\tRECLAIMABLE\nx\ttrue\nTotal:\t0B', 0],
  [
    'Deleted build cache objects:\nabc\n\nTotal reclaimed space: 1.234GB\n',
    1_234_000_000
  ],
  ['nothing', undefined]
])('what a prune says that it freed', (text, bytes) => {
  expect(readTotal(text)).toBe(bytes)
})

test('the arguments of the prune', () => {
  expect(pruneArguments(24 * 3_600_000, undefined)).toEqual([
    'builder',
    'prune',
    '--force',
    '--filter',
    'until=86400.000s'
  ])
  expect(pruneArguments(1, 1e10)).toEqual([
    'builder',
    'prune',
    '--force',
    '--filter',
    'until=0.001s',
    '--keep-storage',
    '10000000000'
  ])
})

test('the records of buildx du', () => {
  const text = [
    'ID:\t\tabc\nParents:\tx\nCreated at:\t2026-01-31 12:00:00.1 +0000 UTC\nMutable:\tfalse\nReclaimable:\ttrue\nShared:\t\ttrue\nSize:\t\t4.194MB\nDescription:\tmount / from exec a: b\nUsage count:\t1\nLast used:\t2 hours ago\nType:\t\tregular',
    'ID:\t\tdef\nReclaimable:\tfalse\nShared:\t\tfalse\nSize:\t\t12B\nType:\t\tinternal',
    'Shared:\t\t4.194MB\nPrivate:\t12B\nReclaimable:\t4.194MB\nTotal:\t\t4.194MB'
  ].join('\n\n')
  const hour = 3_600_000
  expect(readCacheRecords(text)).toEqual([
    {
      id: 'abc',
      bytes: 4_194_000,
      idle: { least: 1.5 * hour, most: 3 * hour },
      inUse: false,
      shared: true,
      internal: false
    },
    {
      id: 'def',
      bytes: 12,
      idle: { least: 0, most: Infinity },
      inUse: true,
      shared: false,
      internal: true
    }
  ])
  expect(readCacheRecords('')).toEqual([])
})

test.each([
  [['app:1'], []],
  [['app:1', `app@${digest}`], []],
  [['app:1', 'app:2', `app@${digest}`], ['app:2']],
  [['app:1', 'web:1'], ['web:1']],
  [['app:1', `web@${digest}`], [`web@${digest}`]],
  [[`app@${digest}`, `app@${digest.replace('a', 'b')}`], []],
  [[`app@${digest}`, 'web:1'], [`app@${digest}`]],
  [[], []]
])('of %j are untagged first: %j', (references, expected) => {
  const image = { references } as unknown as Image
  expect(referencesToUntag(item('image', 'x'), image)).toEqual(expected)
})

test('what needs something goes before it', () => {
  const image = (id: string, parent?: string) => ({ id, parent }) as Image
  const container = (id: string, ...joins: string[]) =>
    ({ id, name: `name-of-${id}`, joins }) as unknown as Container
  const inventory = {
    containers: [
      container('a'),
      container('b', 'name-of-a'),
      container('c', 'b')
    ],
    images: [
      image('base'),
      image('middle', 'base'),
      image('top', 'middle'),
      image('other')
    ]
  } as unknown as Inventory
  const levels = (kind: PlanItem['kind'], ...ids: string[]) =>
    inLevels(
      ids.map((id) => item(kind, id)),
      inventory
    ).map((level) => level.map(({ id }) => id))
  expect(levels('container', 'a', 'b', 'c')).toEqual([['c'], ['b'], ['a']])
  expect(levels('image', 'base', 'middle', 'other', 'top')).toEqual([
    ['other', 'top'],
    ['middle'],
    ['base']
  ])
  expect(levels('image', 'base', 'top')).toEqual([['base', 'top']])
  expect(levels('image')).toEqual([])
})

test('keys that an engine leaves out, or sets to null, are none', () => {
  expect(readJson('{"Id":"x"}', imageSchema, 'image inspect')).toMatchObject({
    RepoTags: [],
    Size: 0
  })
  const nulls =
    '{"Id":"x","Mounts":null,"HostConfig":null,"NetworkSettings":{"Networks":null},"Config":{"Labels":null},"State":null}'
  expect(readJson(nulls, containerSchema, 'container inspect')).toMatchObject({
    Mounts: []
  })
})

test('output that is no JSON is an error that names the command', () => {
  for (const text of ['{"Id":', 'json', '[]', '{"Id":5}'])
    expect(() => readJson(text, imageSchema, 'image inspect')).toThrow(
      DockerError
    )
  expect(() =>
    readJsonLines('{"Id":"x"}\n{"Id', imageSchema, 'image ls')
  ).toThrow(/docker image ls/)
})
