import { once } from 'node:events'
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { findDocker } from '../../scripts/engines/engine.ts'
import {
  runStep,
  withoutCapabilities,
  type Step
} from '../../scripts/engines/step.ts'
import { defaults } from '../../src/model/inputs.ts'
import { readInputs } from '../../src/inputs/read.ts'
import { parseRules } from '../../src/inputs/rules.ts'
import { neutralise } from '../../src/report/text.ts'
import {
  foreignCommands,
  foreignMarkup,
  hostileTexts,
  oddCharacters
} from '../hostile.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'failures-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

/** Writes a docker that records its calls and prints nothing. */
async function recordingDocker(): Promise<{
  path: string
  calls: () => Promise<string>
}> {
  const path = join(folder, 'docker')
  const calls = join(folder, 'calls')
  await writeFile(path, `#!/bin/sh\necho "$@" >>${calls}\n`, { mode: 0o755 })
  return { path, calls: () => readFile(calls, 'utf8').catch(() => '') }
}

/** Decodes the messages of the step's error annotations as the runner does. */
function errors({ stdout }: Step): string[] {
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('::error::'))
    .map((line) =>
      line
        .slice('::error::'.length)
        .replaceAll('%0A', '\n')
        .replaceAll('%25', '%')
    )
}

test.each([
  ['keep-last', '-1', 'a whole number, 0 or more'],
  ['keep-last', '3.5', 'a whole number, 0 or more'],
  ['until', '10 days', 'a duration such as 36h'],
  ['until', '2999-01-01', 'a time in the past'],
  ['until', '1700-01-01', 'a time in the past'],
  ['timeout', '25d', 'at most 24d'],
  ['dry-run', 'ture', 'true or false'],
  ['include-volumes', 'yes', 'false, anonymous, true or all'],
  ['include-builders', 'true', 'false, stopped or all'],
  ['include-images', 'dangeling', 'true, false or dangling'],
  ['protected-images', 'node:[', 'reference globs'],
  ['protected-images', '!node', 'reference globs'],
  ['protected-labels', '=x', 'key or key=value'],
  ['build-cache-keep', '10', 'a size such as 10GB'],
  ['scope', 'pull-requests', 'engine, pull-request'],
  ['pull-request', '#12', 'a pull request number'],
  ['pull-request', '12', 'scope: pull-request'],
  ['pull-request-patterns', 'pr-*', '{number}'],
  ['job-summary', 'never', 'true, failures or false'],
  ['host-name', '$HOSTNAME', '$RUNNER_NAME is the only variable'],
  ['timeout', '0s', 'a duration above 0s'],
  ['concurrency', '0', 'a whole number from 1 to 64']
])('invalid input: %s: %s', async (name, value, accepted) => {
  const docker = await recordingDocker()
  const done = await runStep({ docker: docker.path, [name]: value })
  expect(done.exitCode).toBe(1)
  expect(errors(done)).toHaveLength(1)
  expect(errors(done)[0]).toContain(`${name}: got ${JSON.stringify(value)}`)
  expect(errors(done)[0]).toContain(accepted)
  expect(done.summary).toContain(name)
  expect(done.stdout).not.toMatch(/ at .*\.[jt]s:/)
  expect(await docker.calls()).toBe('')
})

test('one message lists all invalid inputs', async () => {
  const docker = await recordingDocker()
  const done = await runStep({
    docker: docker.path,
    'keep-last': 'x',
    until: 'never',
    'dry-run': 'ture',
    'protected-images': 'a,b[,!c'
  })
  const [message = '', ...more] = errors(done)
  expect(more).toEqual([])
  for (const part of [
    'keep-last: got "x"',
    'until: got "never"',
    'dry-run: got "ture"',
    '"b["',
    '"!c"'
  ])
    expect(message).toContain(part)
  expect(await docker.calls()).toBe('')
})

test.each([
  ['push', '{}', 'this event (push) has none'],
  ['', '{}', 'this run has no event'],
  ['pull_request', '{"pull_request":', 'cannot read the event file'],
  ['pull_request', '{"number":12}', 'cannot read the event file']
])(
  'scope pull-request without a number, on event "%s" with payload %s',
  async (name, payload, problem) => {
    const docker = await recordingDocker()
    const event = join(folder, 'event.json')
    await writeFile(event, payload)
    const env = {
      GITHUB_EVENT_NAME: name,
      GITHUB_EVENT_PATH: event,
      GITHUB_REPOSITORY: 'acme/web'
    }
    const done = await runStep(
      { docker: docker.path, scope: 'pull-request', until: 'never' },
      env
    )
    expect(done.exitCode).toBe(1)
    const [message = '', ...more] = errors(done)
    expect(more).toEqual([])
    expect(message).toContain(
      'Invalid input. Nothing was inspected or removed.'
    )
    expect(message).toContain('until: got "never"')
    expect(message).toContain('pull-request: set a pull request number')
    expect(message).toContain(problem)
    expect(done.stdout).not.toMatch(/ at .*\.[jt]s:/)
    expect(done.summary).toContain('Nothing was removed')
    expect(await docker.calls()).toBe('')
    // The event is needed only if the scope is pull-request and no number is set.
    for (const inputs of [
      { scope: 'pull-request', 'pull-request': '12' },
      { scope: 'engine' }
    ]) {
      const before = await docker.calls()
      await runStep({ docker: docker.path, ...inputs }, env)
      expect(await docker.calls()).not.toBe(before)
    }
  }
)

/** Returns the inputs that are invalid on their own. */
function findInvalid(inputs: Record<string, string>): [string, string][] {
  return Object.entries(inputs).filter(([name, value]) => {
    try {
      readInputs((asked) => (asked === name ? value.trim() : undefined), {
        now: Date.now(),
        env: {}
      })
      return false
    } catch {
      return true
    }
  })
}

/** Returns what the message says first about an input; of the rules, about each bad line. */
function startsOfComplaints(name: string, value: string): string[] {
  const gotten = (text: string) =>
    `got ${JSON.stringify(text.slice(0, 200)).slice(0, -1)}`
  if (name !== 'rules') return [`${name}: ${gotten(value)}`]
  const lines = value.split(/\r\n?|\n/)
  const { problems } = parseRules(value, Date.now())
  return problems.map(([place]) => {
    const line = Number(/^rules: line (\d+)$/.exec(place)?.[1])
    return `${place}: ${gotten(lines[line - 1]?.trim() ?? '')}`
  })
}

test('for any invalid inputs, one message lists them all and docker is never called', async () => {
  const docker = await recordingDocker()
  // Environment variables cannot hold NUL or lone surrogates.
  const text = fc
    .oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '%0A::error::x',
        '\r::set-env name=X::y',
        '\u2028##[add-mask]z',
        '\u001b[31mred\u202e',
        '\n- a: "b"\n',
        '!'.repeat(100_000),
        '!,'.repeat(50_000),
        'node:['
      )
    )
    .map((value) => value.toWellFormed().replaceAll('\0', ''))
  const inputs = fc
    .dictionary(
      fc.constantFrom(
        ...Object.keys(defaults).filter((name) => name !== 'docker')
      ),
      text,
      { maxKeys: 4 }
    )
    .filter((some) => findInvalid(some).length > 0)
  await fc.assert(
    fc.asyncProperty(inputs, async (inputs) => {
      const done = await runStep({ docker: docker.path, ...inputs })
      expect(done.exitCode).toBe(1)
      const [message = '', ...more] = errors(done)
      expect(more).toEqual([])
      for (const [name, value] of findInvalid(inputs))
        for (const start of startsOfComplaints(
          name,
          name === 'rules' ? value.trimEnd() : value.trim()
        ))
          expect(message).toContain(neutralise(start))
      // The version and the error.
      expect(done.stdout.split('\n')).toHaveLength(2)
      expect(done.stdout).not.toMatch(/ at .*\.[jt]s:/)
      expect(done.summary).toContain('Nothing was removed')
    }),
    { numRuns: 40, endOnFailure: true }
  )
  expect(await docker.calls()).toBe('')
})

test.each([
  [
    'does not exist',
    'no-such-docker',
    /no-such-docker.*not found.*input docker/i
  ],
  ['is not executable', '/', /^Cannot (?:run|start)/i]
])('a Docker CLI that %s', async (_, docker, message) => {
  const done = await runStep({ docker })
  expect(done.exitCode).toBe(1)
  expect(errors(done)).toEqual([expect.stringMatching(message)])
  expect(done.summary).toContain('Nothing was removed')
})

test('the Docker CLI inherits the environment without the token', async () => {
  const docker = join(folder, 'docker')
  const seen = join(folder, 'environment')
  await writeFile(docker, `#!/bin/sh\nenv >>${seen}\nexit 1\n`, {
    mode: 0o755
  })
  await runStep({ docker, 'github-token': 'secret' }, { ANY_OTHER: 'kept' })
  const environment = await readFile(seen, 'utf8')
  expect(environment).toContain('ANY_OTHER=kept')
  expect(environment).not.toContain('secret')
})

test('no engine listens on the socket', async () => {
  const done = await runStep(
    { docker: await findDocker() },
    { DOCKER_HOST: `unix://${folder}/no.sock` }
  )
  expect(done.exitCode).toBe(1)
  expect(errors(done)).toEqual([
    expect.stringMatching(/Cannot reach a Docker engine.*no\.sock/s)
  ])
  expect(done.summary).toContain('Nothing was removed')
})

test('the socket cannot be opened without permission', async () => {
  const socket = join(folder, 'docker.sock')
  const server = createServer().listen(socket)
  await once(server, 'listening')
  const root = process.getuid?.() === 0
  try {
    // Root can open any socket unless it drops its capabilities.
    if (root) await chown(socket, 65_534, 65_534)
    const done = await runStep(
      { docker: await findDocker() },
      { DOCKER_HOST: `unix://${socket}` },
      {
        without: root
          ? withoutCapabilities
          : ['sh', '-c', `chmod 0 ${socket}; exec "$@"`, 'sh']
      }
    )
    expect(done.exitCode).toBe(1)
    expect(errors(done)).toEqual([
      expect.stringMatching(
        /Permission denied on the Docker socket.*group docker/s
      )
    ])
    expect(done.summary).toContain('Permission denied')
  } finally {
    server.close()
  }
})

test('an engine that does not answer is abandoned at the timeout, and no process is left', async () => {
  const path = join(folder, 'docker')
  await writeFile(
    path,
    `#!/bin/sh\ntrap '' TERM\nsleep 300 &\nwait\nsleep 300\n`,
    { mode: 0o755 }
  )
  const done = await runStep({ docker: path, timeout: '1s' })
  expect(done.exitCode).toBe(1)
  expect(errors(done)).toEqual([
    expect.stringMatching(/did not answer.*timeout/s)
  ])
  expect(done.processesLeft).toEqual([])
})

test.each(['stderr', 'stdout'])(
  'engine output on %s reaches neither the runner’s commands nor the Markdown',
  async (stream) => {
    const path = join(folder, 'docker')
    const words = join(folder, 'words')
    for (const text of [
      hostileTexts.join('\n'),
      'Error response from daemon: bad\r::set-env name=evil::y\n##[add-mask]z',
      JSON.stringify({ ServerErrors: hostileTexts })
    ]) {
      await writeFile(words, text)
      await writeFile(
        path,
        `#!/bin/sh\n[ "$1" = context ] && exec echo '[]'\ncat ${words} >&${stream === 'stderr' ? '2; exit 1' : '1'}\n`,
        { mode: 0o755 }
      )
      const done = await runStep({ docker: path })
      expect(done.exitCode).toBe(1)
      expect(errors(done)).toEqual([expect.stringContaining('evil')])
      for (const printed of [done.stdout, done.stderr, done.summary]) {
        expect(foreignCommands(printed)).toEqual([])
        expect(oddCharacters(printed)).toEqual([])
      }
      expect(foreignMarkup(done.summary)).toEqual([])
    }
  }
)
