import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { createPullRequests, project } from '../harness/pullRequests.ts'
import { resource } from '../harness/report.ts'
import { busySeconds } from '../harness/target.ts'
import { polite } from '../harness/things.ts'

// Changes to containers of a closed pull request while the step stops and removes them.

const tests = useEngine()
const { docker, folder, run, states, dockerThat } = tests
const { close, buildImage } = createPullRequests(tests)

test('a container that the engine keeps restarting is stopped and removed', async () => {
  await buildImage()
  const short = ['sh', '-c', 'trap "exit 0" TERM; sleep 1 & wait']
  await run('failing', '--restart', 'always', 'acme/web:pr-1', ...short)
  // Both the plan and the check before the stop see it running, each after another restart.
  const command = await dockerThat(`
    started() { $docker inspect --format '{{.State.StartedAt}}' failing; }
    case "$1 $2 $3" in "container inspect --") [ "$(count looks)" -gt 2 ] || {
    last=$(started); while [ "$(started)" = "$last" ]; do sleep 0.1; done; } ;; esac`)

  const done = await close('acme/web', 1, { docker: command })

  expect(done.exitCode).toBe(0)
  for (const name of ['failing', 'acme/web:pr-1'])
    expect(resource(done, name).outcome).toBe('removed')
  expect(await states()).toEqual([])
})

test('a container that runs again after its stop is stopped again', async () => {
  await buildImage()
  await run('web', 'acme/web:pr-1', ...polite)
  // Podman behaves like this between an exit and the next restart.
  const command = await dockerThat(`
    case "$1 $2" in "container stop") [ "$(count stops)" -gt 2 ] || {
    for id; do :; done; echo "$id"; exit; } ;; esac`)

  const done = await close('acme/web', 1, { docker: command })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'web').outcome).toBe('removed')
  expect(await states()).toEqual([])
})

test('a container that somebody restarts while another is stopped again is kept', async () => {
  await buildImage()
  for (const name of ['one', 'two']) await run(name, 'acme/web:pr-1', ...polite)
  const command = await dockerThat(`
    case "$1 $2" in "container stop") for id; do :; done
    case $(count stops) in
    1) while [ "$1" != -- ]; do shift; done; shift; printf '%s\\n' "$@"; exit ;;
    2) for other in $($docker ps --quiet --no-trunc); do [ $other = $id ] || $docker restart $other >/dev/null; done ;;
    esac ;; esac`)

  const done = await close('acme/web', 1, { docker: command })

  expect(done.exitCode).toBe(0)
  const fates = ['one', 'two'].map((name) => resource(done, name).outcome)
  expect(fates.sort()).toEqual(['kept', 'removed'])
  expect(await states()).toEqual([expect.stringMatching(/ running$/)])
})

test('a container restarted or recreated during the run is kept, with everything it needs', async () => {
  await buildImage()
  await run('restarted', 'acme/web:pr-1', ...polite)
  await run('replaced', 'acme/web:pr-1', ...polite)
  await run('web', 'acme/web:pr-1', ...polite)
  const command = await dockerThat(`before_removal "$@" && {
    $docker restart restarted; $docker rm --force replaced
    $docker run --detach --network none --name replaced acme/web:pr-1 sleep 600; } >/dev/null`)

  const done = await close('acme/web', 1, { docker: command })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'restarted')).toMatchObject({
    outcome: 'kept',
    reason: 'changed'
  })
  expect(resource(done, 'replaced').outcome).toBe('gone')
  expect(resource(done, 'acme/web:pr-1')).toMatchObject({
    outcome: 'kept',
    reason: 'changed'
  })
  expect(await states()).toEqual(['replaced running', 'restarted running'])
})

test('a container that cannot be stopped is a failure, and is kept with everything it needs', async () => {
  await buildImage()
  await docker('network', 'create', ...project('web-pr-1'), 'net')
  for (const name of ['stuck', 'web'])
    await docker(
      ...['run', '--detach', '--network', 'net', '--name', name],
      ...['acme/web:pr-1', ...polite]
    )
  const id = await docker('inspect', '--format', '{{.Id}}', 'stuck')
  // The engine's message for a process that the kernel does not release.
  const command = await dockerThat(`case "$1 $2 $*" in "container stop "*${id}*)
    for one in "$@"; do case $one in ${id}) ;; ????????????????????????????????*) $docker stop $one ;; esac; done
    echo 'Error response from daemon: cannot stop container: ${id}: tried to kill container, but did not receive an exit event' >&2
    exit 1 ;; esac`)

  const done = await close('acme/web', 1, { docker: command })

  expect(done.exitCode).toBe(1)
  expect(resource(done, 'stuck')).toMatchObject({
    outcome: 'failed',
    detail: expect.stringContaining('did not receive an exit event')
  })
  for (const name of ['net', 'acme/web:pr-1'])
    expect(resource(done, name)).toMatchObject({
      outcome: 'kept',
      reason: 'changed'
    })
  expect(await states()).toEqual(['stuck running'])
})

test('no stop begins shortly before the timeout', async () => {
  await buildImage()
  await run('web', 'acme/web:pr-1', ...polite)
  // The last call before the stop waits until only 4.5 s are left.
  const command =
    await dockerThat(`[ -e ${folder()}/began ] || date +%s%3N >${folder()}/began
    case "$1 $2 $3" in "container inspect --size")
    while [ "$(date +%s%3N)" -lt $(($(cat ${folder()}/began) + ${busySeconds}000 - 4500)) ]; do sleep 0.05; done ;; esac`)

  const done = await close('acme/web', 1, {
    timeout: `${busySeconds}s`,
    docker: command
  })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'web')).toMatchObject({
    outcome: 'kept',
    reason: 'budget'
  })
  expect(done.stdout).toMatch(/^::warning::The timeout of/m)
  expect(await states()).toEqual(['web running'])
})
