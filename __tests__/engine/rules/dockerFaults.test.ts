import { expect, test } from '@jest/globals'
import pLimit from 'p-limit'
import { useEngine } from '../harness/engine.ts'
import { expectCleanFailure, resource } from '../harness/report.ts'
import { everything, idOf, oldImage, oldImages } from '../harness/things.ts'

const tests = useEngine()
const { docker, load, step, contents, dockerThat, untilMarked } = tests

const print20MB = `head -c 20000000 /dev/zero | tr '\\0' x`

test('a step cancelled during a hanging call writes its summary before the runner’s next signal', async () => {
  await load(oldImages(2))
  const command = await dockerThat(`case "$1 $2" in
    "$HANGS") trap '' INT TERM; mark "$1"; sleep 300 ;; esac`)
  const cancel = new AbortController()
  const running = ['container ls', 'image rm'].map((HANGS) =>
    step(
      { ...everything, docker: command },
      { HANGS },
      { cancel: cancel.signal }
    )
  )
  await untilMarked('container', 'image')

  const start = Date.now()
  cancel.abort()

  for (const done of await Promise.all(running)) {
    expect(done.startedAt + done.milliseconds - start).toBeLessThan(7_500)
    expectCleanFailure(done, /The run was cancelled/)
  }
  expect((await contents()).references).toHaveLength(3)
})

/** All calls that the plan depends on. */
const listings = [
  'info',
  'context inspect',
  'events',
  'container ls',
  'container inspect',
  'image ls',
  'image inspect',
  'network ls',
  'network inspect',
  'volume inspect'
]
const some = ['info', 'image ls', 'container inspect']

/** Per fault: its name, a shell command run in place of some calls, those calls, and the expected message. */
const faults: readonly [string, string, readonly string[], RegExp][] = [
  [
    'nothing, and hangs',
    `trap '' TERM; sleep 300`,
    ['info', 'image ls'],
    /Docker did not answer: ".*CALL/
  ],
  // Listings of IDs are left out: a truncated ID refers to the same object or to none.
  [
    'half of the output',
    'out=$($docker "$@"); printf %s "$out" | head -c $(( ${#out} / 2 ))',
    listings.filter((call) => !call.endsWith(' ls') || call === 'image ls'),
    /Cannot read the output of docker CALL/
  ],
  [
    'a warning in the output',
    'echo "WARNING: no swap limit support"; exec $docker "$@"',
    listings,
    /Cannot read the output of docker CALL.*WARNING/s
  ],
  [
    'nothing, and was killed',
    'exit 137',
    listings.filter((call) => call !== 'context inspect'),
    /docker CALL failed with exit code 137/
  ],
  [
    '20 MB of garbage',
    print20MB,
    some,
    /Cannot read the output of docker CALL/
  ],
  [
    '20 MB of errors',
    `${print20MB} >&2; exit 1`,
    some,
    /docker CALL failed with exit code 1/
  ],
  [
    'endless errors',
    'exec yes WARNING >&2',
    ['image ls'],
    /docker CALL .*printed more output than can be read/
  ]
]

test('unexpected output of docker is a clear error, and nothing is removed', async () => {
  await load([oldImage('app')])
  await docker('network', 'create', 'net')
  await docker('volume', 'create', 'data')
  await docker(
    ...['create', '--name', 'web', '--network', 'net'],
    ...['--volume', 'data:/data', 'app:1', 'true']
  )
  const before = await contents()
  const command = await dockerThat(
    'case "$1 $2" in "$BROKEN"*) eval "$FAULT"; exit ;; esac'
  )
  const cases = faults.flatMap(([name, FAULT, calls, message]) =>
    calls.map((call) => ({ name, FAULT, call, message }))
  )

  await pLimit(4).map(cases, async ({ name, FAULT, call, message }) => {
    const BROKEN = call.includes(' ') ? call : `${call} --`
    const inputs = {
      ...{ ...everything, 'include-volumes': 'all', docker: command },
      timeout: FAULT.includes('sleep') ? '5s' : '5m'
    }
    const done = await step(inputs, { BROKEN, FAULT })
    const { exitCode } = done
    expect({ name, call, exitCode }).toEqual({ name, call, exitCode: 1 })
    const { source, flags } = message
    expectCleanFailure(done, new RegExp(source.replace('CALL', call), flags))
    expect(done.summary).toContain('Nothing was removed')
    expect(done.stdout.length).toBeLessThan(50_000)
  })

  expect(await contents()).toEqual(before)
})

test('a removal that is killed or prints 20 MB of errors fails, and all others are attempted', async () => {
  await load([oldImage('killed'), oldImage('loud')])
  await docker('network', 'create', 'net')
  const killed = await idOf(docker, 'killed:1')
  const command = await dockerThat(`case "$1 $2 $*" in
    "image rm "*${killed}*) exit 137 ;; "image rm "*) ${print20MB} >&2; exit 1 ;; esac`)

  const done = await step({ ...everything, docker: command })

  expectCleanFailure(done, /2 planned removals failed/)
  expect(resource(done, 'killed:1')).toMatchObject({
    outcome: 'failed',
    detail: expect.stringMatching(/docker image rm .*exit code 137/)
  })
  expect(resource(done, 'loud:1')).toMatchObject({
    outcome: 'failed',
    detail: expect.stringMatching(/xxxx/)
  })
  expect(done.stdout.length).toBeLessThan(50_000)
  expect(resource(done, 'net').outcome).toBe('removed')
  expect((await contents()).references).toEqual([
    'busybox:1',
    'killed:1',
    'loud:1'
  ])
})

test('after half of the output right before the removal, nothing is removed', async () => {
  await load([oldImage('app')])
  // The first call is that of the plan.
  const command = await dockerThat(
    `case "$1 $2" in "image inspect") [ "$(count looks)" = 2 ] && { $docker "$@" | head -c 200; exit 0; } ;; esac`
  )
  const done = await step({ ...everything, docker: command })
  expectCleanFailure(done, /Cannot read the output of docker image inspect/)
  expect((await contents()).references).toEqual(['app:1', 'busybox:1'])
})

test('an unreadable event stream is logged, and ends with the step', async () => {
  await load([oldImage('app')])
  const command =
    await dockerThat(`case "$1 $4" in "events --format") trap '' TERM
    head -c 5000000 /dev/zero | tr '\\0' x; echo; echo '{"half'; mark streamed; sleep 300 ;; esac
    case "$1 $2" in "image rm") while [ ! -e "\${0%/*}/streamed" ]; do sleep 0.05; done; sleep 0.3 ;; esac`)
  const done = await step({ ...everything, docker: command })
  expect(done).toMatchObject({ exitCode: 0, processesLeft: [] })
  expect(done.stdout).toContain('event stream')
  expect(resource(done, 'app:1').outcome).toBe('removed')
})

test('without the event stream, the step relies on listings, and says so in the log', async () => {
  await load([oldImage('app')])
  const command = await dockerThat(
    'case "$*" in "events "*"--until"*) ;; events*) exit 1 ;; esac'
  )
  const done = await step({ ...everything, docker: command })
  expect(done.exitCode).toBe(0)
  expect(done.stdout).toContain('event stream')
  expect((await contents()).references).toEqual(['busybox:1'])
})

test('without the event log nothing is removed, since a fresh load could pass for old', async () => {
  await load([oldImage('app')])
  const command = await dockerThat(
    'case "$*" in "events "*"--until"*) exit 1 ;; esac'
  )
  const inputs = { ...everything, until: '24h', docker: command }
  expectCleanFailure(await step(inputs), /docker events failed/)
  expect((await contents()).references).toEqual(['app:1', 'busybox:1'])
})

test('a build cache that cannot be listed is left to the builder, and a hanging --version is not awaited', async () => {
  await load([oldImage('app')])
  const command = await dockerThat(
    `case "$1 $2" in "buildx du"|"system df") exit 1 ;; "--version ") exec sleep 300 ;; esac`
  )
  const done = await step({
    ...everything,
    'include-build-cache': 'true',
    docker: command
  })
  expect(done).toMatchObject({ exitCode: 0, processesLeft: [] })
  expect(done.milliseconds).toBeLessThan(50_000)
  expect(resource(done, 'app:1').outcome).toBe('removed')
  expect(done.stdout).toMatch(/^remove build cache /m)
})
