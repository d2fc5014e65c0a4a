import { expect, test } from '@jest/globals'
import { DockerError } from '../../src/docker/errors.ts'
import { readJson, readJsonLines } from '../../src/docker/json.ts'
import {
  containerSchema,
  eventSchema,
  historySchema,
  imageSchema,
  networkSchema,
  volumeSchema
} from '../../src/docker/schemas.ts'

test('missing keys and null values are treated as empty', () => {
  expect(readJson('{"Id":"x"}', imageSchema, 'image inspect')).toMatchObject({
    RepoTags: [],
    Size: 0
  })
  const nulls =
    '{"Id":"x","Mounts":null,"HostConfig":null,"NetworkSettings":{"Networks":null},"Config":{"Labels":null},"State":null}'
  expect(readJson(nulls, containerSchema, 'container inspect')).toMatchObject({
    Mounts: [],
    NetworkSettings: { Networks: [] }
  })
})

test('all names are preserved, including __proto__', () => {
  const container =
    '{"Id":"x","NetworkSettings":{"Networks":{"__proto__":{"NetworkID":"n"},"none":null}}}'
  expect(
    readJson(container, containerSchema, 'container inspect').NetworkSettings
      ?.Networks
  ).toEqual([
    { name: '__proto__', id: 'n', links: [] },
    { name: 'none', id: '', links: [] }
  ])
  const { Labels } = readJson(
    '{"Id":"x","Name":"n","Labels":{"__proto__":"y","constructor":null}}',
    networkSchema,
    'network inspect'
  )
  expect(Object.entries(Labels)).toEqual([
    ['__proto__', 'y'],
    ['constructor', '']
  ])
})

test('invalid JSON is an error that names the command', () => {
  for (const text of ['{"Id":', 'json', '[]', '{"Id":5}'])
    expect(() => readJson(text, imageSchema, 'image inspect')).toThrow(
      DockerError
    )
  expect(() =>
    readJsonLines('{"Id":"x"}\n{"Id', imageSchema, 'image ls')
  ).toThrow(/docker image ls/)
})

const event = {
  Type: 'image',
  Action: 'pull',
  Actor: { ID: 'app:1' },
  timeNano: 1
}

test.each([
  ['mounts', containerSchema, { Mounts: 'data' }],
  ['networks', containerSchema, { NetworkSettings: { Networks: ['net'] } }],
  ['endpoints', containerSchema, { NetworkSettings: { Networks: { net: 5 } } }],
  [
    'a network ID',
    containerSchema,
    { NetworkSettings: { Networks: { net: { NetworkID: 5 } } } }
  ],
  ['an end time', containerSchema, { State: { FinishedAt: 'yesterday' } }],
  ['labels', imageSchema, { Config: { Labels: ['keep'] } }],
  ['a label', imageSchema, { Config: { Labels: { keep: true } } }],
  ['a tag time', imageSchema, { Metadata: { LastTagTime: 'never' } }],
  ['running containers', networkSchema, { Name: 'n', Containers: 'c' }],
  ['options', volumeSchema, { Name: 'v', Options: ['type=nfs'] }],
  ['an event without a time', eventSchema, { ...event, timeNano: null }],
  ['an event without an actor', eventSchema, { ...event, Actor: null }],
  ['a size', historySchema, { Size: null }]
])('the wrong type is an error, not an empty value: %s', (_, schema, value) => {
  const json = JSON.stringify({ Id: 'x', ...value })
  expect(() => readJson<unknown>(json, schema, 'x inspect')).toThrow(
    /docker x inspect/
  )
})

test('an invalid build date is unknown, since anyone can set it', () => {
  expect(
    readJson('{"Id":"x","Created":"long ago"}', imageSchema, 'image inspect')
      .Created
  ).toBeUndefined()
})

test('the message about unreadable output is limited in length', () => {
  const Labels = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, index) => [`label ${index}`, 5])
  )
  const json = JSON.stringify({ Id: 'x', Config: { Labels } })
  const read = () => readJson(json, imageSchema, 'image inspect')
  expect(read).toThrow(DockerError)
  expect(read).toThrow(/^.{0,2000}$/s)
})
