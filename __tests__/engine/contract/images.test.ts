import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import { execa } from 'execa'
import { imageId } from '../../../src/docker/podman.ts'
import { readRefusal } from '../../../src/removal/refusal.ts'
import { useEngine } from '../harness/engine.ts'
import { useRegistry } from '../harness/registry.ts'
import { familiar, resource } from '../harness/report.ts'
import { containerd, onlyOnDocker, podman } from '../harness/target.ts'
import { everything, idOf, oldImage, oldImages } from '../harness/things.ts'
import {
  createFacts,
  failing,
  inspectOne,
  printing,
  readLines,
  type Asked
} from './fact.ts'

const tests = useEngine()
const {
  docker: real,
  engine,
  folder,
  load,
  build,
  create,
  run,
  step,
  contents
} = tests
const { publish, pull } = useRegistry(tests)
const fact = createFacts(tests)

type Image = { Id: string; RepoTags: string[]; RepoDigests: string[] }
type Row = { ID: string; Repository: string; Tag: string; Digest: string }

const remove = ['image', 'rm', '--no-prune', '--']
const changed = { outcome: 'kept', reason: 'changed' }

/** Tries to remove an image as the action does, and returns the parsed refusal. */
async function refusalOf({ answer }: Asked, name: string) {
  const output = await answer(...remove, name)
  expect(output.exitCode).toBe(1)
  return readRefusal(output, 'image rm')
}

const deletedIds = (stdout: string): string[] =>
  [...stdout.matchAll(/^Deleted: (\S+)$/gm)].map(([, id = '']) => imageId(id))

const imageLs = ['image', 'ls', '--no-trunc', '--format', '{{json .}}']

/** Lists images, with repositories as Docker writes them. */
async function list({ docker }: Asked, ...options: string[]): Promise<Row[]> {
  const rows = readLines<Row>(await docker(...imageLs, ...options))
  return rows.map((row) => ({ ...row, Repository: familiar(row.Repository) }))
}

fact(
  'F8, F14',
  'a reloaded image has the same ID; without a registry it has no digest, or a generated one',
  printing('image inspect', 's/"sha256:.*"/"sha256:0"/; s/@sha256:/@sha256:0/'),
  async (asked) => {
    await load([oldImage('app')])
    const first = await inspectOne<Image>(asked.docker, 'image', 'app:1')
    await real('image', 'rm', 'app:1')
    await load([oldImage('app')])
    const again = await inspectOne<Image>(asked.docker, 'image', 'app:1')

    const { Id, RepoTags, RepoDigests } = again
    expect(Id).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(Id).toBe(first.Id)
    expect((await list(asked)).map(({ ID }) => ID)).toContain(Id)
    const name = podman ? 'localhost/app' : 'app'
    expect(RepoTags).toEqual([`${name}:1`])
    expect(RepoDigests).toEqual(
      podman
        ? [expect.stringMatching(/^localhost\/app@sha256:[0-9a-f]{64}$/)]
        : containerd
          ? [`app@${Id}`]
          : []
    )
  }
)

fact(
  'F9',
  'an image with one tag is removed by its ID, which is printed',
  'case "$1 $2" in "image rm") for last; do :; done; echo "Deleted: $last"; exit ;; esac',
  async ({ docker }) => {
    await load([oldImage('app')])
    const id = await idOf(real, 'app:1')
    expect(deletedIds(await docker(...remove, id))).toContain(id)
    expect((await contents()).references).toEqual(['busybox:1'])
  }
)

fact(
  'F9',
  'an image with two tags cannot be removed by ID until one tag is removed',
  'case "$1 $2" in "image rm") shift 2; exec "$docker" image rm --force "$@" ;; esac',
  async (asked) => {
    await load([
      { ...oldImage('same'), references: ['same:1', 'same:2'] },
      { ...oldImage('other'), references: ['other:1', 'acme/other:1'] }
    ])
    for (const [first, second] of [
      ['same:1', 'same:2'],
      ['other:1', 'acme/other:1']
    ] as const) {
      const id = await idOf(real, first)
      expect(await refusalOf(asked, id)).toMatchObject(changed)
      expect((await contents()).references).toContain(first)
      expect(deletedIds(await asked.docker(...remove, second))).toEqual([])
      expect(deletedIds(await asked.docker(...remove, id))).toContain(id)
    }
  }
)

fact(
  'F9',
  'a tag that has moved to another image survives removal of the old image by ID',
  'case "$1 $2" in "image rm") "$docker" image rm moved:1 ;; esac',
  async ({ docker }) => {
    await load([oldImage('moved'), oldImage('new')])
    const old = await idOf(real, 'moved:1')
    await real('tag', 'new:1', 'moved:1')

    expect(deletedIds(await docker(...remove, old))).toContain(old)

    const { references, images } = await contents()
    expect(references).toEqual(['busybox:1', 'moved:1', 'new:1'])
    expect(images).not.toContain(old)
    expect(await idOf(real, 'moved:1')).toBe(await idOf(real, 'new:1'))
  }
)

fact(
  'F9',
  'an image in use can lose every tag but the last, whatever the container’s state',
  failing('image rm', 'something else'),
  async (asked) => {
    await load([{ ...oldImage('more'), references: ['more:1', 'more:2'] }])
    await create('created', 'more:1', 'true')
    await real('tag', 'busybox:1', 'acme/busybox:2')
    await run('running', 'busybox:1', 'sleep', '600')
    for (const [first, second] of [
      ['more:1', 'more:2'],
      ['busybox:1', 'acme/busybox:2']
    ] as const) {
      const { exitCode } = await asked.answer(...remove, second)
      expect(exitCode).toBe(0)
      const id = await idOf(real, first)
      for (const name of [first, id])
        expect(await refusalOf(asked, name)).toMatchObject(changed)
    }
    expect((await contents()).references).toEqual(['busybox:1', 'more:1'])
  }
)

fact(
  'F9',
  'only on the containerd store, rm TAG@ID removes the tag if it still refers to that image',
  'case "$1 $2" in "image rm") for last; do :; done; exec "$docker" image rm "${last%@*}" ;; esac',
  async (asked) => {
    await load([
      { ...oldImage('app'), references: ['app:1', 'app:2', 'app:3'] },
      oldImage('new')
    ])
    const id = await idOf(real, 'app:1')
    await real('tag', 'new:1', 'app:2')
    const missing = await asked.answer(...remove, `app:2@${id}`)
    expect(missing.exitCode).toBe(1)
    expect(await idOf(real, 'app:2')).toBe(await idOf(real, 'new:1'))

    const { exitCode, stdout } = await asked.answer(...remove, `app:3@${id}`)
    expect(exitCode).toBe(containerd ? 0 : 1)
    expect(stdout.trim()).toBe(containerd ? 'Untagged: app:3' : '')
    const kept = containerd ? [] : ['app:3']
    expect((await contents()).references).toEqual(
      ['app:1', 'app:2', ...kept, 'busybox:1', 'new:1'].sort()
    )
  }
)

type Child = { Parent: string }

/** Builds an image with an untagged parent; returns its ID. */
const buildChild = (value: string) =>
  build(`FROM busybox:1\nLABEL value=${value}\nLABEL value=\n`, {
    tag: `${value}:1`
  })

fact(
  'F9, F15',
  'the classic builder leaves parents, which are removed with their child unless --no-prune is given',
  // Podman 4 ignores --no-prune.
  podman
    ? 'case "$1 $2" in "image rm") exit ;; esac'
    : 'case "$1 $2 $3" in "image rm --no-prune") shift 3; exec "$docker" image rm "$@" ;; esac',
  async (asked) => {
    const { docker, major } = asked
    const children = [await buildChild('one'), await buildChild('two')]
    const parents: string[] = []
    for (const child of children) {
      const { Parent } = await inspectOne<Child>(docker, 'image', child)
      parents.push(imageId(Parent))
    }
    const ids = async (...options: string[]) =>
      (await list(asked, ...options)).map(({ ID }) => ID)
    expect(await ids('--all')).toEqual(
      expect.arrayContaining([...children, ...parents])
    )
    expect(await ids()).not.toContain(parents[0])
    expect(await ids('--filter', 'dangling=true')).toEqual([])

    await docker(...remove, children[0] ?? '')
    const left = await ids('--all')
    expect(left).not.toContain(children[0])
    const stays = !(podman && major < 5)
    expect(left.includes(parents[0] ?? '')).toBe(stays)
    if (stays)
      expect(deletedIds(await docker(...remove, parents[0] ?? ''))).toEqual([
        parents[0]
      ])
    await docker('image', 'rm', children[1] ?? '')
    expect(await ids('--all')).toHaveLength(1)
  }
)

fact(
  'F15',
  'storage drivers refuse to remove the parent of an image; other stores remove it',
  'case "$1 $2" in "image rm") ! "$docker" "$@"; exit ;; esac',
  async (asked) => {
    const child = await buildChild('one')
    const { Parent } = await inspectOne<Child>(real, 'image', child)
    const parent = imageId(Parent)
    const output = await asked.answer(...remove, parent)
    const refuses = !containerd && !podman
    expect(output.exitCode).toBe(refuses ? 1 : 0)
    if (refuses) expect(readRefusal(output, 'image rm')).toMatchObject(changed)
    // Podman does not print what it deleted.
    else expect(deletedIds(output.stdout)).toEqual(podman ? [] : [parent])
    const ids = (await list(asked, '--all')).map(({ ID }) => ID)
    expect(ids.includes(parent)).toBe(refuses)
  }
)

fact(
  'F13, F14',
  'an image pulled by digest has a repository but no tag',
  printing('image inspect', '/sha256:[0-9a-f]*"/s/@sha256/:sha256/'),
  async (asked) => {
    const [tagged, pinned] = await publish([oldImage('tag'), oldImage('pin')])
    if (!tagged || !pinned) throw new Error('not published')
    await pull([tagged.tag, pinned.pinned])

    const byTag = await inspectOne<Image>(asked.docker, 'image', tagged.tag)
    expect(byTag.RepoTags).toEqual([tagged.tag])
    // Podman adds another digest.
    if (!podman) expect(byTag.RepoDigests).toEqual([tagged.pinned])
    const { RepoTags, RepoDigests } = await inspectOne<Image>(
      asked.docker,
      'image',
      pinned.pinned
    )
    expect(RepoTags).toEqual(containerd ? [pinned.pinned] : [])
    expect(RepoDigests).toEqual([pinned.pinned])

    const [repository, digest] = pinned.pinned.split('@')
    expect(await list(asked, '--all', '--digests')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          Repository: repository,
          Tag: '<none>',
          Digest: digest
        })
      ])
    )
  }
)

fact(
  'F9, F13, F33',
  'a digest is removed with the last tag of its repository; in another repository and on Podman, it counts as another name',
  'case "$1 $2" in "image rm") shift 2; exec "$docker" image rm --force "$@" ;; esac',
  async (asked) => {
    const { docker } = asked
    const images = ['tag', 'same', 'other'].map((name) => oldImage(name))
    const [tag, same, other] = await publish(images)
    if (!tag || !same || !other) throw new Error('not published')
    await pull([tag.tag, same.pinned, other.pinned])
    await real('tag', same.pinned, same.tag)
    await real('tag', other.pinned, 'local:1')
    const [whole, both, id] = [
      await idOf(real, tag.tag),
      await idOf(real, same.tag),
      await idOf(real, 'local:1')
    ]
    expect(deletedIds(await docker(...remove, whole))).toContain(whole)

    expect(await refusalOf(asked, id)).toMatchObject(changed)
    expect(deletedIds(await docker(...remove, other.pinned))).toEqual([])
    expect(deletedIds(await docker(...remove, id))).toContain(id)

    if (podman) {
      expect(await refusalOf(asked, both)).toMatchObject(changed)
      await docker(...remove, same.pinned)
    }
    expect(deletedIds(await docker(...remove, both))).toContain(both)
    expect((await contents()).images).toHaveLength(1)
  }
)

fact(
  'F48',
  'rm of several images continues after a missing one, in order, and stops when killed',
  'case "$1 $2" in "image rm") "$docker" "$@"; exit ;; esac',
  async ({ answer, command, major }) => {
    // Enough that some are left when the first is removed, given the speed of each store.
    const count = containerd || podman || major < 23 ? 30 : 100
    await load([oldImage('first'), ...oldImages(count)])
    const first = await idOf(real, 'first:1')
    const output = await answer(...remove, 'missing:1', first)
    expect(output.exitCode).toBe(1)
    expect(deletedIds(output.stdout)).toContain(first)

    const names = oldImages(count).flatMap(({ references }) => references)
    // Kill it after its first output.
    const killed = 'mkfifo "$0"; "$@" >"$0" & exec 3<"$0"; read -r word <&3'
    await execa(
      'sh',
      [
        ...['-c', `${killed}; kill -9 $!; cat <&3`, join(folder(), 'words')],
        ...[command, ...remove, ...names]
      ],
      { env: { DOCKER_HOST: engine().host } }
    )
    // Podman 4 cannot list images while it removes one.
    const { references } = await retry(contents)
    const left = names.filter((name) => references.includes(name))
    expect(left).not.toEqual([])
    expect(left).toEqual(names.slice(-left.length))
  }
)

async function retry<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1)
    try {
      return await attempt()
    } catch (error) {
      if (tries === 50) throw error
      await sleep(100)
    }
}

fact(
  'F13, F15, F16',
  'every image is listed with all its names',
  'case "$1 $2" in "image ls") exec "$docker" image ls --no-trunc --format "{{json .}}" ;; esac',
  async ({ command }) => {
    await load([oldImage('moved')])
    const dangling = await idOf(real, 'moved:1')
    await load([
      { ...oldImage('new'), references: ['moved:1', 'acme/new:2', 'new:3'] }
    ])
    const child = await buildChild('child')
    const [pinned] = await publish([oldImage('pinned')])
    if (!pinned) throw new Error('not published')
    await pull([pinned.pinned])

    const plan = await step({
      ...everything,
      'dry-run': 'true',
      docker: command
    })

    const planned = plan.report?.resources.filter(
      ({ kind }) => kind === 'image'
    )
    expect(planned?.map(({ id }) => id).sort()).toEqual(
      (await contents()).images
    )
    expect(resource(plan, 'acme/new:2').references?.toSorted()).toEqual([
      'acme/new:2',
      'moved:1',
      'new:3'
    ])
    const parent = imageId(
      (await inspectOne<Child>(real, 'image', child)).Parent
    )
    for (const id of [dangling, parent])
      expect(resource(plan, id)).toMatchObject({ references: [] })
    expect(resource(plan, pinned.pinned)).toMatchObject({
      references: [pinned.pinned],
      reason: 'expired'
    })
  }
)

createFacts(tests, onlyOnDocker('reference filter for single tags'))(
  'F36',
  'ls filtered by references prints exactly those tags',
  'case "$1 $2" in "image ls") exec "$docker" image ls --no-trunc --format "{{json .}}" ;; esac',
  async (asked) => {
    await load([
      { ...oldImage('app'), references: ['app:1', 'app:2'] },
      oldImage('acme/app'),
      oldImage('other')
    ])
    const filters = ['app:1', 'acme/app:1'].flatMap((name) => [
      '--filter',
      `reference=${name}`
    ])
    const rows = await list(asked, '--digests', ...filters)
    expect(rows.map(({ Repository, Tag }) => `${Repository}:${Tag}`)).toEqual(
      expect.arrayContaining(['acme/app:1', 'app:1'])
    )
    expect(rows).toHaveLength(2)
  }
)
