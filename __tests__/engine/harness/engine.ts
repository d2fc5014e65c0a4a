import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals'
import { createApi, type Api } from '../../../scripts/engines/api.ts'
import {
  startEngine,
  type ThrowawayEngine
} from '../../../scripts/engines/engine.ts'
import {
  createCli,
  importBusybox,
  loadImages,
  type Cli,
  type ImageFixture
} from '../../../scripts/fixtures/fixtures.ts'
import { exists } from '../../../scripts/engines/packages.ts'
import { runJob, runStep, type Step } from '../../../scripts/engines/step.ts'
import { imageId } from '../../../src/docker/podman.ts'
import { makeDockerConfig } from './clis.ts'
import { empty, readContents, readStates, type Contents } from './contents.ts'
import { createStandIn, type StandIn } from './standIn.ts'
import { podman, root, store } from './target.ts'

type BuildOptions = {
  tag?: string
  buildKit?: boolean
  /** Files next to the Dockerfile. */
  files?: Record<string, string | Buffer>
  /** Additional arguments of `docker build`. */
  args?: readonly string[]
}

/** An engine shared by test files, which must not stop or restart it. */
export type SharedEngine = Pick<
  ThrowawayEngine,
  'host' | 'docker' | 'pid' | 'inNetwork' | 'folder'
>

/** The engine of a test file; it holds only `busybox:1` before each test. */
export type TestEngine<E extends SharedEngine = SharedEngine> = StandIn & {
  engine: () => E
  docker: Cli
  api: () => Api
  load: (images: readonly ImageFixture[]) => Promise<void>
  /** Builds with the classic builder or BuildKit; returns the image ID. */
  build: (dockerfile: string, options?: BuildOptions) => Promise<string>
  /** Runs a container in the background, without a network. */
  run: (name: string, ...args: string[]) => Promise<string>
  /** Creates a container without a network. */
  create: (name: string, ...args: string[]) => Promise<string>
  step: (...args: Parameters<typeof runStep>) => Promise<Step>
  /** Runs the step, the body of a job, and the post step. */
  job: (...args: Parameters<typeof runJob>) => ReturnType<typeof runJob>
  contents: () => Promise<Contents>
  /** All containers as `name state`, such as `web running`. */
  states: () => Promise<string[]>
  /** Fills the engine's event log, so that it drops all earlier events. */
  overflowLog: () => Promise<void>
  /** A temporary folder for the current test. */
  folder: () => string
  /** The environment of a process that uses this engine and its CLI. */
  environment: () => Promise<{ DOCKER_HOST: string; PATH: string }>
}

/** The engines started for this test run, one per Jest worker. */
const shared = JSON.parse(process.env['ENGINES'] ?? '[]') as SharedEngine[]

/** Starts a private engine of the kind under test. */
export function startTestEngine(
  options: { dataSize?: string; storeSize?: string } = {}
): Promise<ThrowawayEngine> {
  return startEngine({
    // A disk in memory is faster than the machine's.
    dataSize: '4g',
    ...options,
    kind: podman ? 'podman' : 'docker',
    ...(root && { root }),
    store
  })
}

/** Provides the engine that all test files of this Jest worker share. */
export function useEngine(): TestEngine {
  const own = shared[Number(process.env['JEST_WORKER_ID'] ?? 1) - 1]
  return useStarted(() =>
    own === undefined
      ? startTestEngine()
      : Promise.resolve({ ...own, stop: () => cleanUp(own) })
  )
}

/** Empties a shared engine; the next test file reports any error. */
async function cleanUp({ host }: SharedEngine): Promise<void> {
  const api = createApi(host)
  await empty(api).catch(() => undefined)
  api.close()
}

/** A command prefix that enters the engine's mount namespace, where its disk is mounted. */
export function seeingDiskOf({ pid }: Pick<SharedEngine, 'pid'>): string[] {
  return ['nsenter', `--mount=/proc/${pid}/ns/mnt`]
}

/** Provides a separate engine that the test file may stop, restart or fill up. */
export function useOwnEngine(
  options: { dataSize?: string; storeSize?: string } = {}
): TestEngine<ThrowawayEngine> {
  return useStarted(() => startTestEngine(options))
}

function useStarted<E extends SharedEngine & { stop: () => Promise<void> }>(
  start: () => Promise<E>
): TestEngine<E> {
  let running: { engine: E; api: Api } | undefined
  let folder = ''

  beforeAll(async () => {
    const engine = await start()
    running = { engine, api: createApi(engine.host) }
  })
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'test-'))
    if (!(await empty(api()))) await importBusybox(engine())
  })
  afterEach(async () => {
    await rm(folder, { recursive: true })
  })
  afterAll(async () => {
    if (running === undefined) return
    running.api.close()
    await running.engine.stop()
  })

  function started() {
    if (running === undefined) throw new Error('the engine is not running')
    return running
  }
  const engine = () => started().engine
  const api = () => started().api
  const docker: Cli = (...args) => createCli(engine())(...args)
  const environment = async () => ({
    DOCKER_HOST: engine().host,
    PATH: `${await folderOfDocker(engine())}:${process.env['PATH'] ?? ''}`
  })
  const container =
    (command: string[]) =>
    (name: string, ...args: string[]) =>
      docker(...command, '--network', 'none', '--name', name, ...args)

  return {
    ...{ engine, docker, api, environment, folder: () => folder },
    ...createStandIn(() => ({ docker: engine().docker, folder })),
    load: (images) => loadImages(engine(), images),
    build: (dockerfile, options) => build(engine(), dockerfile, options),
    run: container(['run', '--detach']),
    create: container(['create']),
    step: async (inputs, env, options) =>
      runStep(inputs, { ...(await environment()), ...env }, options),
    job: async (inputs, env, body, options) =>
      runJob(inputs, { ...(await environment()), ...env }, body, options),
    contents: () => readContents(api()),
    states: () => readStates(api()),
    overflowLog: async () => {
      for (let index = 0; index < 130; index += 1) {
        await api().post('/volumes/create', { Name: 'overflow' })
        await api().remove('/volumes/overflow')
      }
    }
  }
}

async function build(
  engine: SharedEngine,
  dockerfile: string,
  { tag, buildKit = false, files = {}, args: more = [] }: BuildOptions = {}
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'build-'))
  try {
    await writeFile(join(folder, 'Dockerfile'), dockerfile)
    for (const [name, content] of Object.entries(files))
      await writeFile(join(folder, name), content)
    // A CLI of another system looks for plugins in the folders of this one.
    const plugin = `${root ?? ''}/usr/libexec/docker/cli-plugins/docker-buildx`
    const cli = createCli(engine, {
      // Podman has its own builder, which the CLI reaches only without BuildKit.
      DOCKER_BUILDKIT: buildKit && !podman ? '1' : '0',
      ...((await exists(plugin)) && {
        DOCKER_CONFIG: await makeDockerConfig(join(folder, '.docker'), {
          plugin
        })
      })
    })
    const args = ['build', '--quiet', '--network', 'none', ...more]
    const output = await cli(...args, ...(tag ? ['--tag', tag] : []), folder)
    return imageId(output.trim().split('\n').at(-1) ?? '')
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Creates a folder for PATH with only the CLI: programs next to it may belong to another system. */
async function folderOfDocker({
  folder,
  docker
}: SharedEngine): Promise<string> {
  const path = join(folder, 'cli')
  await mkdir(path, { recursive: true })
  await symlink(docker, join(path, 'docker')).catch(() => undefined)
  return path
}
