import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { readEvent } from '../../src/inputs/event.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'event-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

async function read(payload: string, name = 'pull_request') {
  const file = join(folder, 'event.json')
  await writeFile(file, payload)
  return readEvent({ GITHUB_EVENT_NAME: name, GITHUB_EVENT_PATH: file })
}

test.each(['pull_request', 'pull_request_target'])(
  'event %s provides the number',
  async (name) => {
    const payload = { action: 'closed', pull_request: { number: 12, id: 9 } }
    expect(await read(JSON.stringify(payload), name)).toEqual({ number: 12 })
  }
)

test.each(['push', 'issue_comment', 'schedule'])(
  'event %s has no pull request, whatever its payload',
  async (name) => {
    expect(await read('{"pull_request":{"number":12}}', name)).toEqual({
      problem: `this event (${name}) has none`
    })
  }
)

test.each([
  '',
  '{',
  'null',
  '[]',
  '{}',
  '{"pull_request":null}',
  '{"pull_request":{}}',
  '{"pull_request":{"number":"12"}}',
  '{"pull_request":{"number":0}}',
  '{"pull_request":{"number":-1}}',
  '{"pull_request":{"number":1.5}}',
  '{"pull_request":{"number":1e300}}'
])('payload %s has no number', async (payload) => {
  expect(await read(payload)).toEqual({
    problem: expect.stringMatching(/^cannot read the event file .*: .+$/)
  })
})

test('without an event or its payload file there is no number', async () => {
  expect(await readEvent({})).toEqual({ problem: 'this run has no event' })
  for (const path of ['', join(folder, 'none'), folder])
    expect(
      await readEvent({
        GITHUB_EVENT_NAME: 'pull_request',
        GITHUB_EVENT_PATH: path
      })
    ).toEqual({
      problem: expect.stringContaining('cannot read the event file')
    })
})
