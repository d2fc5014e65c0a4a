import { expect, test } from '@jest/globals'
import { DockerError } from '../../src/docker/cli.ts'
import {
  containerSchema,
  imageSchema,
  networkSchema,
  readJson,
  readJsonLines
} from '../../src/docker/schemas.ts'

test('keys that an engine leaves out, or sets to null, are none', () => {
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

test('no name is lost, not even that of a prototype', () => {
  const container =
    '{"Id":"x","NetworkSettings":{"Networks":{"__proto__":{"NetworkID":"n"},"none":null}}}'
  expect(
    readJson(container, containerSchema, 'container inspect').NetworkSettings
      ?.Networks
  ).toEqual([
    { name: '__proto__', id: 'n' },
    { name: 'none', id: '' }
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

test('output that is no JSON is an error that names the command', () => {
  for (const text of ['{"Id":', 'json', '[]', '{"Id":5}'])
    expect(() => readJson(text, imageSchema, 'image inspect')).toThrow(
      DockerError
    )
  expect(() =>
    readJsonLines('{"Id":"x"}\n{"Id', imageSchema, 'image ls')
  ).toThrow(/docker image ls/)
})
