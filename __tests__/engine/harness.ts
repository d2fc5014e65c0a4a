import {
  mkdir,
  mkdtemp,
  readFile,
  rm,
  symlink,
  writeFile
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, test } from '@jest/globals'
import { startEngine, type ThrowawayEngine } from '../../scripts/engine.ts'
import {
  createCli,
  importBusybox,
  loadImages,
  type Cli,
  type ImageFixture
} from '../../scripts/fixtures.ts'
import { exists, unpackPackages } from '../../scripts/packages.ts'
import { runJob, runStep, type Step } from '../../scripts/step.ts'
import { imageId } from '../../src/docker/podman.ts'
import type { Resource } from '../../src/report/report.ts'

/** An image of 2024, with one layer of its own. */
export function oldImage(name: string, bytes = 1_000): ImageFixture {
  return {
    references: [`${name}:1`],
    created: '2024-05-01T12:00:00Z',
    layers: [{ name, bytes }]
  }
}

/** More images than the engine's event log has room for (256 events): it forgets what happened before. */
export function fillers(name = 'filler'): ImageFixture[] {
  return Array.from({ length: 260 }, (_, index) => ({
    ...oldImage(name, index + 1),
    references: [`${name}:${index}`]
  }))
}

/** An engine for the tests of one file, empty but for `busybox:1` before each of them. */
export type TestEngine = {
  engine: () => ThrowawayEngine
  docker: Cli
  load: (images: readonly ImageFixture[]) => Promise<void>
  /** Builds with the classic builder or with BuildKit; returns the image's ID. */
  build: (
    dockerfile: string,
    options?: { tag?: string; buildKit?: boolean }
  ) => Promise<string>
  /** Runs the step on this engine. */
  step: (...args: Parameters<typeof runStep>) => Promise<Step>
  /** Runs the step, a job after it, and the post step on this engine. */
  job: (...args: Parameters<typeof runJob>) => ReturnType<typeof runJob>
  /** References and IDs of all images, names of all containers, networks and volumes. */
  contents: () => Promise<Contents>
  /** What a process needs to find this engine and its CLI. */
  environment: () => Promise<{ DOCKER_HOST: string; PATH: string }>
}

export type Contents = {
  containers: string[]
  images: string[]
  references: string[]
  networks: string[]
  volumes: string[]
}

const root = process.env['ENGINE_ROOT']
export const podman = process.env['ENGINE_KIND'] === 'podman'

/**
 * Starts a throw-away engine of the kind that is to be tested. ENGINE_ROOT names a folder with a system to run it in,
 * ENGINE_STORE the image store, `containerd` or `overlay2`; ENGINE_KIND is `podman` for Podman.
 */
export function startTestEngine(
  options: { dataSize?: string } = {}
): Promise<ThrowawayEngine> {
  return startEngine({
    ...options,
    kind: podman ? 'podman' : 'docker',
    ...(root && { root }),
    store: process.env['ENGINE_STORE'] || undefined
  })
}

/** A test of something that Podman does not have: there it counts as skipped, and its name says what is missing. */
export function onlyOnDocker(what: string) {
  return (name: string, body: () => Promise<void>, limit?: number): void => {
    if (podman) test.skip(`${name} (Podman has no ${what})`, body)
    else test(name, body, limit)
  }
}

/** What an engine has of networks from the start, as `contents` and reports name it. */
export const ownNetwork = podman ? 'podman' : 'host'

/** A throw-away engine for a file of tests. */
export function useEngine(options: { dataSize?: string } = {}): TestEngine {
  let running: ThrowawayEngine | undefined

  beforeAll(async () => {
    running = await startTestEngine(options)
  })
  beforeEach(async () => {
    await empty(docker)
    await importBusybox(engine())
  })
  afterAll(async () => {
    await running?.stop()
  })

  function engine(): ThrowawayEngine {
    if (running === undefined) throw new Error('the engine is not running')
    return running
  }
  const docker: Cli = (...args) => createCli(engine())(...args)
  const environment = async () => ({
    DOCKER_HOST: engine().host,
    PATH: `${await folderOfDocker(engine())}:${process.env['PATH'] ?? ''}`
  })

  return {
    engine,
    docker,
    environment,
    load: (images) => loadImages(engine(), images),
    build: async (dockerfile, { tag, buildKit = false } = {}) => {
      const folder = await mkdtemp(join(tmpdir(), 'build-'))
      try {
        await writeFile(join(folder, 'Dockerfile'), dockerfile)
        // The CLI of another system looks for its plugins in this one.
        const plugin = `${root ?? ''}/usr/libexec/docker/cli-plugins/docker-buildx`
        const cli = createCli(engine(), {
          // Podman builds in a way of its own, which only the classic builder asks for.
          DOCKER_BUILDKIT: buildKit && !podman ? '1' : '0',
          ...((await exists(plugin)) && {
            DOCKER_CONFIG: await makeDockerConfig(join(folder, '.docker'), {
              plugin
            })
          })
        })
        const args = [
          'build',
          '--quiet',
          '--network',
          'none',
          ...(tag ? ['--tag', tag] : []),
          folder
        ]
        return imageId((await cli(...args)).trim().split('\n').at(-1) ?? '')
      } finally {
        await rm(folder, { recursive: true })
      }
    },
    step: async (inputs, env, options) =>
      runStep(inputs, { ...(await environment()), ...env }, options),
    job: async (inputs, env, body, options) =>
      runJob(inputs, { ...(await environment()), ...env }, body, options),
    contents: async () => {
      const lines = async (...args: string[]) =>
        [...new Set((await docker(...args)).split('\n').filter(Boolean))].sort()
      return {
        containers: await lines(
          'container',
          'ls',
          '--all',
          '--format',
          '{{.Names}}'
        ),
        images: await lines('image', 'ls', '--all', '--quiet', '--no-trunc'),
        references: (
          await lines('image', 'ls', '--format', '{{.Repository}}:{{.Tag}}')
        )
          .filter((reference) => !reference.includes('<none>'))
          .map(familiar)
          .sort(),
        networks: (
          await lines('network', 'ls', '--format', '{{.Name}}')
        ).filter((name) => !['bridge', 'host', 'none'].includes(name)),
        volumes: await lines('volume', 'ls', '--quiet')
      }
    }
  }
}

/** A folder for PATH with nothing but that CLI: what else lies beside it may be another system's. */
async function folderOfDocker({
  folder,
  docker
}: ThrowawayEngine): Promise<string> {
  const path = join(folder, 'cli')
  await mkdir(path, { recursive: true })
  await symlink(docker, join(path, 'docker')).catch(() => undefined)
  return path
}

/**
 * A docker that does something of its own right before it passes on a call: what another job may do on the same
 * engine at the worst moment, or a fault. `$docker` is the real one; `once` runs what follows it one time only; `pause`
 * waits until there is a file `go`.
 */
export async function dockerWith(
  { docker }: ThrowawayEngine,
  folder: string,
  hooks: string
): Promise<string> {
  const path = join(folder, 'docker')
  await writeFile(
    path,
    `#!/bin/sh
docker=${docker}
once() { mkdir ${folder}/once 2>/dev/null && "$@" >/dev/null; }
count() { echo >>${folder}/$1; wc -l <${folder}/$1; }
pause() { : >${folder}/paused; while [ ! -e ${folder}/go ]; do sleep 0.05; done; }
${hooks}
exec "$docker" "$@"
`,
    { mode: 0o755 }
  )
  return path
}

/** Takes everything off the engine, as it may be done only to one's own. */
async function empty(docker: Cli): Promise<void> {
  const each = async (list: string[], remove: string[]) => {
    const ids = [
      ...new Set((await docker(...list)).split('\n').filter(Boolean))
    ]
    if (ids.length > 0) await docker(...remove, ...ids)
  }
  await each(
    ['container', 'ls', '--all', '--quiet'],
    ['container', 'rm', '--force', '--volumes']
  )
  // A parent goes only once its children have gone. Podman 4 does not understand Docker's prune.
  const images = ['image', 'ls', '--all', '--quiet']
  while ((await docker(...images)) !== '')
    await (podman
      ? each(images, ['image', 'rm', '--force']).catch(() => undefined)
      : docker('image', 'prune', '--all', '--force'))
  await each(['volume', 'ls', '--quiet'], ['volume', 'rm'])
  await docker('network', 'prune', '--force')
  if (!podman) await docker('builder', 'prune', '--all', '--force')
}

/** A reference as Docker has it: Podman's say where they are from, if only from here. */
function familiar(reference: string): string {
  return reference.replace(/^(?:docker\.io\/(?:library\/)?|localhost\/)/, '')
}

/** The ID of the image that an image was built on. */
export async function parentOf(docker: Cli, image: string): Promise<string> {
  const json = await docker('image', 'inspect', image)
  const [{ Parent }] = JSON.parse(json) as [{ Parent: string }]
  return imageId(Parent)
}

/** The one resource of that name in a report, as Docker names it; its references count as names, too. */
export function resource(step: Step, name: string): Resource {
  const found = step.report?.resources
    .map((one) => ({
      ...one,
      name: familiar(one.name),
      ...(one.references && { references: one.references.map(familiar) }),
      ...(one.removedReferences && {
        removedReferences: one.removedReferences.map(familiar)
      })
    }))
    .filter(
      (one) =>
        one.name === name || one.id === name || one.references?.includes(name)
    )
  if (found?.length !== 1)
    throw new Error(
      `${found?.length ?? 'no report, so no'} resources are called ${name}`
    )
  return found[0] as Resource
}

/** A folder with the buildx plugin for DOCKER_CONFIG, or without any plugin. */
export async function makeDockerConfig(
  folder: string,
  { plugin, config = {} }: { plugin?: string; config?: object }
): Promise<string> {
  await mkdir(join(folder, 'cli-plugins'), { recursive: true })
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  if (plugin !== undefined)
    await writeFile(
      join(folder, 'cli-plugins/docker-buildx'),
      await readFile(plugin),
      { mode: 0o755 }
    )
  return folder
}

/** CLIs of other versions than the engine's, and the buildx plugin for the new one. */
export type OtherClis = { old: string; new: string; buildx: string }

/** Finds the CLIs of the oldest and of the newest engine that the tests run on. */
export async function findOtherClis(): Promise<OtherClis> {
  const [old, newest] = await Promise.all([
    unpackPackages(['docker.io'], { suite: 'bookworm' }),
    unpackPackages(['docker-cli', 'docker-buildx'], { suite: 'sid' })
  ])
  return {
    old: `${old}/usr/bin/docker`,
    new: `${newest}/usr/bin/docker`,
    buildx: `${newest}/usr/libexec/docker/cli-plugins/docker-buildx`
  }
}
