import { expect, test } from '@jest/globals'
import type { ImageFixture } from '../../../scripts/fixtures/fixtures.ts'
import type { Step } from '../../../scripts/engines/step.ts'
import { useEngine } from '../harness/engine.ts'
import { useRegistry } from '../harness/registry.ts'
import { resource } from '../harness/report.ts'
import { podman } from '../harness/target.ts'
import { idOf, parentOf } from '../harness/things.ts'

// Plans and removes resources of every kind in one run, and expects the next run to find nothing to do.

const tests = useEngine()
const { api, docker, load, build, create, run, step, contents } = tests
const { publish, pull } = useRegistry(tests)

const inputs = {
  'keep-last': '1',
  until: '0s',
  'include-volumes': 'all',
  'protected-images': 'busybox, acme/**',
  'protected-labels': 'keep, pinned=yes'
}

/** An image built on the given day of May 2024. */
const builtOn = (
  day: number,
  references: string[],
  labels: Record<string, string> = {}
): ImageFixture => ({
  references,
  created: `2024-05-0${day}T12:00:00Z`,
  labels,
  layers: [
    { name: 'base', bytes: 1_000 },
    { name: references.join(), bytes: 1_000 + day }
  ]
})

/** The expected reason to remove or keep each resource, by name or ID. */
type Fates = Record<string, 'expired' | 'dangling' | `keep ${string}`>

/** Adds images whose decision depends on references and labels. */
async function fillWithTags(): Promise<Fates> {
  await load([
    // Each in two repositories, or with two tags in one.
    ...[1, 2].map((day) => builtOn(day, [`app:${day}`, `mirror/app:${day}`])),
    builtOn(3, ['app:3', 'mirror/app:3', 'mirror/app:latest']),
    builtOn(1, ['two:1', 'two:2']),
    builtOn(2, ['two:3']),
    // The newest of one repository is an old one of another.
    builtOn(1, ['mixed:1', 'base/mixed:1']),
    builtOn(2, ['mixed:2']),
    builtOn(1, ['node:1', 'acme/base:x']),
    builtOn(2, ['node:2']),
    builtOn(1, ['labelled:1'], { keep: '' }),
    builtOn(2, ['labelled:2'])
  ])
  return {
    'app:1': 'expired',
    'app:2': 'expired',
    'app:3': 'keep keep-last',
    'two:1': 'expired',
    'two:3': 'keep keep-last',
    'base/mixed:1': 'expired',
    'mixed:2': 'keep keep-last',
    'node:1': 'keep protected-image',
    'node:2': 'keep keep-last',
    'labelled:1': 'keep protected-label',
    'labelled:2': 'keep keep-last'
  }
}

/** Adds a dangling image, parents of the classic builder, one of them protected, and build cache. */
async function fillWithBuilds(): Promise<Fates> {
  await load([builtOn(1, ['moved:1'])])
  const dangling = await idOf(docker, 'moved:1')
  await load([builtOn(2, ['moved:1'])])
  for (const tag of ['1', '2']) {
    await build(`FROM busybox:1\nLABEL line=${tag}\nLABEL line=\n`, {
      tag: `line:${tag}`
    })
    await build(`FROM busybox:1\nRUN echo ${tag} >/tag\n`, {
      tag: `kit:${tag}`,
      buildKit: true
    })
  }
  await build('FROM busybox:1\nLABEL pinned=yes\nLABEL pinned=\n', {
    tag: 'child:1'
  })
  await build('FROM busybox:1\nLABEL child=2\n', { tag: 'child:2' })
  const { Version } = await api().get<{ Version: string }>('/version')
  // Podman 4 would remove the protected parent with its child.
  const removesParents = podman && Version.startsWith('4.')
  return {
    [dangling]: 'dangling',
    'moved:1': 'keep keep-last',
    'line:1': 'expired',
    'line:2': 'keep keep-last',
    [await parentOf(docker, 'line:1')]: 'dangling',
    [await parentOf(docker, 'line:2')]: 'keep in-use',
    'child:1': removesParents ? 'keep in-use' : 'expired',
    'child:2': 'keep keep-last',
    [await parentOf(docker, 'child:1')]: 'keep protected-label',
    'kit:1': 'expired',
    'kit:2': 'keep keep-last',
    'busybox:1': 'keep in-use',
    'build-cache': podman ? 'keep recent' : 'expired'
  }
}

/** Adds images pulled by tag, by digest, and by digest with a tag added in the same or another repository. */
async function fillFromRegistry(): Promise<Fates> {
  // Podman refuses to remove an image that was pulled by digest and has a tag.
  const names = ['pin', 'lib', ...(podman ? [] : ['both'])]
  const old = await publish(names.map((name) => builtOn(1, [`${name}:1`])))
  const newer = await publish(names.map((name) => builtOn(2, [`${name}:2`])))
  const [pin, lib, both] = old
  if (!pin || !lib) throw new Error('not published')
  await pull([
    ...old.map(({ pinned }) => pinned),
    ...newer.map(({ tag }) => tag)
  ])
  await load([builtOn(3, ['spare:1'])])
  if (both) await docker('tag', both.pinned, both.tag)
  await docker('tag', lib.pinned, 'own:1')
  await docker('tag', 'spare:1', 'own:2')
  return {
    [pin.pinned]: 'expired',
    ...(both && { [both.tag]: 'expired' }),
    'own:1': 'expired',
    'own:2': 'keep keep-last',
    ...Object.fromEntries(newer.map(({ tag }) => [tag, 'keep keep-last']))
  }
}

/** Adds containers in every state, and the resources they need. */
async function fillWithContainers(): Promise<Fates> {
  await load([
    builtOn(1, ['held:1', 'mirror/held:1']),
    builtOn(2, ['held:2', 'mirror/held:2']),
    builtOn(1, ['leaving:1']),
    builtOn(2, ['leaving:2'])
  ])
  await build('FROM busybox:1\nLABEL used=1\n', { tag: 'used:1' })
  await docker('tag', 'used:1', 'mirror/used:2')
  for (const name of ['unused-net', 'held-net'])
    await docker('network', 'create', name)
  await docker('network', 'create', '--label', 'keep', 'labelled-net')
  for (const name of ['unused', 'held']) await docker('volume', 'create', name)
  await docker('volume', 'create', '--label', 'keep=', 'labelled')

  await run('running', 'used:1', 'sleep', '600')
  await run('paused', 'busybox:1', 'sleep', '600')
  await docker('pause', 'paused')
  await run('ended', '--volume', '/scratch', 'busybox:1', 'true')
  await create('new', 'leaving:1', 'true')
  await create('base', 'busybox:1', 'true')
  const label = ['--label', 'keep', '--name']
  const joined = ['--network', 'container:base']
  await docker('create', ...label, 'side', ...joined, 'busybox:1')
  const volumes = ['--volume', 'held:/data', '--volume', '/scratch']
  const needs = ['--network', 'held-net', ...volumes]
  await docker('create', ...label, 'holder', ...needs, 'held:1', 'true')
  await docker('wait', 'ended')
  const anonymous = async (name: string) => {
    const format = '{{range .Mounts}}{{.Name}} {{end}}'
    const names = await docker('inspect', '--format', format, name)
    return /[0-9a-f]{64}/.exec(names)?.[0] ?? ''
  }
  return {
    'held:1': 'keep in-use',
    'held:2': 'keep keep-last',
    'leaving:1': 'expired',
    'leaving:2': 'keep keep-last',
    'used:1': 'keep in-use',
    running: 'keep in-use',
    paused: 'keep in-use',
    ended: 'expired',
    new: 'expired',
    base: 'keep in-use',
    side: 'keep protected-label',
    holder: 'keep protected-label',
    'unused-net': 'expired',
    'held-net': 'keep in-use',
    'labelled-net': 'keep protected-label',
    unused: podman ? 'keep named-volume' : 'expired',
    held: 'keep in-use',
    labelled: 'keep protected-label',
    [await anonymous('ended')]: 'expired',
    [await anonymous('holder')]: 'keep in-use'
  }
}

/** Compares every resource in a report, except built-in networks, with its expected fate. */
function expectFates(
  done: Step,
  fates: Fates,
  outcomes: { remove: string; untag: string }
): void {
  const decided = Object.keys(fates).map((name) => {
    const { kind, action, outcome, reason } = resource(done, name)
    const kept = action === 'keep' ? 'kept' : outcomes[action]
    expect({ kind, name, outcome }).toEqual({ kind, name, outcome: kept })
    return [name, action === 'keep' ? `keep ${reason}` : reason]
  })
  expect(Object.fromEntries(decided)).toEqual(fates)
  const others = done.report?.resources.filter(
    ({ reason }) => reason !== 'built-in'
  )
  expect(others).toHaveLength(decided.length)
}

test('a plan covers every resource, is executed exactly, and leaves nothing for the next run', async () => {
  const fates = {
    ...(await fillWithTags()),
    ...(await fillWithBuilds()),
    ...(await fillFromRegistry()),
    ...(await fillWithContainers())
  }
  const before = await contents()

  const plan = await step({ ...inputs, 'dry-run': 'true' })

  expect(plan.exitCode).toBe(0)
  expectFates(plan, fates, { remove: 'planned', untag: 'planned' })
  expect(resource(plan, 'base/mixed:1')).toMatchObject({
    action: 'untag',
    removedReferences: ['mixed:1'],
    bytes: 0
  })
  expect(await contents()).toEqual(before)

  const done = await step(inputs)

  expect(done.exitCode).toBe(0)
  expectFates(done, fates, { remove: 'removed', untag: 'untagged' })
  const ids = ({ report }: Step, ...outcomes: string[]) =>
    report?.resources.flatMap(({ id, outcome }) =>
      outcomes.includes(outcome) ? [id] : []
    )
  expect(ids(done, 'removed', 'untagged')).toEqual(ids(plan, 'planned'))
  const left = await contents()
  const kept = (kind: string, field: 'id' | 'name') =>
    done.report?.resources
      .filter((one) => one.kind === kind)
      .filter(({ outcome }) => ['kept', 'untagged'].includes(outcome))
      .map((one) => one[field])
      .sort()
  expect(left.images).toEqual(kept('image', 'id'))
  expect(left.containers).toEqual(kept('container', 'name'))
  expect(left.volumes).toEqual(kept('volume', 'name'))
  const here = left.references.filter((one) => !one.startsWith('127.0.0.1'))
  expect(here).toEqual([
    ...['acme/base:x', 'app:3', 'base/mixed:1', 'busybox:1'],
    ...(here.includes('child:1') ? ['child:1'] : []),
    ...['child:2', 'held:1', 'held:2', 'kit:2', 'labelled:1', 'labelled:2'],
    ...['leaving:2', 'line:2', 'mirror/app:3', 'mirror/app:latest'],
    ...['mirror/held:1', 'mirror/held:2', 'mirror/used:2', 'mixed:2'],
    ...['moved:1', 'node:1', 'node:2', 'own:2', 'spare:1', 'two:3', 'used:1']
  ])
  expect(left.networks).toEqual([
    ...['held-net', 'labelled-net'],
    ...(podman ? ['podman'] : [])
  ])
  expect(done.outputs).toMatchObject({
    'removed-containers': '2',
    'untagged-references': '1',
    failed: '0',
    skipped: 'false'
  })

  const again = await step(inputs)

  expect(again.exitCode).toBe(0)
  expect(again.outputs['skipped']).toBe('true')
  expect(again.stdout).toContain('Nothing to do')
  expect(await contents()).toEqual(left)
})
