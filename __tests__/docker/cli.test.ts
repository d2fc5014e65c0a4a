import { expect, test } from '@jest/globals'
import { createDocker } from '../../src/docker/cli.ts'
import { connectionError, DockerError } from '../../src/docker/errors.ts'

test.each([
  // Messages of CLI 20.10, 26.1 and 28.5.
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
])('CLI message: %s', (message, kind) => {
  expect(connectionError(message, {})?.kind).toBe(kind)
})

test('the message about an unreachable engine names the endpoint', () => {
  const error = connectionError('Cannot connect to the Docker daemon', {
    DOCKER_HOST: 'tcp://127.0.0.1:1'
  })
  expect(error?.message).toContain('DOCKER_HOST is "tcp://127.0.0.1:1"')
})

test.each([
  [
    'a job container without the socket',
    'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?',
    'mount its socket'
  ],
  [
    'rootless Docker',
    'failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is running',
    'For rootless Docker, set DOCKER_HOST'
  ],
  [
    'a Windows runner',
    'error during connect: this error may indicate that the docker daemon is not running: Get "http://%2F%2F.%2Fpipe%2Fdocker_engine/v1.24/info": open //./pipe/docker_engine: The system cannot find the file specified.',
    'Start Docker Desktop or the Docker service'
  ],
  [
    'a proxy in DOCKER_HOST',
    'unable to resolve docker endpoint: Invalid bind address format: http://127.0.0.1:3128',
    'Set DOCKER_HOST to the address of an engine'
  ],
  [
    'a Windows address on Linux',
    'Failed to initialize: protocol not available',
    'Set DOCKER_HOST to the address of an engine'
  ],
  [
    'a wrong certificate',
    'error during connect: Get "https://build:2376/v1.51/info": tls: failed to verify certificate: x509: certificate signed by unknown authority',
    'Check DOCKER_TLS_VERIFY'
  ],
  [
    'another host',
    'Cannot connect to the Docker daemon at tcp://127.0.0.1:1. Is the docker daemon running?',
    'Start Docker there'
  ]
])('the message says what to do: %s', (_, words, hint) => {
  const message = connectionError(words, {})?.message
  expect(message).toContain(hint)
  expect(message).toContain(words)
})

/** Creates a client that runs a shell in place of docker. */
function shell(parts: Partial<Parameters<typeof createDocker>[0]> = {}) {
  return createDocker({
    command: 'sh',
    env: process.env,
    concurrency: 2,
    deadline: Date.now() + 60_000,
    signal: new AbortController().signal,
    ...parts
  })
}

test('a call returns its output and exit code', async () => {
  expect(await shell()(['-c', 'echo out; echo err >&2; exit 3'])).toEqual({
    stdout: 'out',
    stderr: 'err',
    exitCode: 3
  })
})

test('a call that times out names the limit it hit and keeps its output', async () => {
  const own = shell()(['-c', 'echo done; sleep 9'], { limit: 300 })
  await expect(own).rejects.toMatchObject({ kind: 'no-answer', stdout: 'done' })
  await expect(own).rejects.not.toThrow(/input timeout/)
  const budget = shell({ deadline: Date.now() + 300 })(['-c', 'sleep 9'])
  await expect(budget).rejects.toThrow(/input timeout/)
})

test('after cancellation no new call starts, and running calls get a grace period if requested', async () => {
  const controller = new AbortController()
  const docker = shell({ signal: controller.signal })
  const started = [
    docker(['-c', 'sleep 1; echo end'], { grace: true }),
    docker(['-c', 'sleep 9'])
  ]
  setTimeout(() => {
    controller.abort()
  }, 300)
  const [graceful, other] = await Promise.allSettled(started)
  expect(graceful).toMatchObject({
    status: 'fulfilled',
    value: { stdout: 'end' }
  })
  expect(other).toMatchObject({
    status: 'rejected',
    reason: { kind: 'cancelled' }
  })
  await expect(docker(['-c', 'true'])).rejects.toThrow(DockerError)
})

test('a killed call ends at once with what it printed, and one that was killed before does not start', async () => {
  const controller = new AbortController()
  const kill = controller.signal
  const call = shell()(['-c', 'trap "" TERM; echo done; sleep 9'], { kill })
  setTimeout(() => {
    controller.abort()
  }, 300)
  const start = performance.now()
  expect(await call).toEqual({ exitCode: NaN, stdout: 'done', stderr: '' })
  expect(performance.now() - start).toBeLessThan(5_000)
  const late = await shell()(['-c', 'echo started'], { kill })
  expect(late).toEqual({ exitCode: NaN, stdout: '', stderr: '' })
})

test('a call aside does not wait for others', async () => {
  const controller = new AbortController()
  const docker = shell({ concurrency: 1, signal: controller.signal })
  const other = docker(['-c', 'sleep 9'])
  const { stdout } = await docker(['-c', 'echo aside'], { aside: true })
  expect(stdout).toBe('aside')
  controller.abort()
  await expect(other).rejects.toThrow(DockerError)
})

test('concurrency is limited', async () => {
  const docker = shell()
  const times = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const { stdout } = await docker([
        '-c',
        'date +%s%N; sleep 0.3; date +%s%N'
      ])
      return stdout.split('\n').map(Number) as [number, number]
    })
  )
  for (const [start] of times)
    expect(
      times.filter(([from, to]) => from <= start && start < to).length
    ).toBeLessThanOrEqual(2)
})
