import type { z } from 'zod'
import type { Engine, EngineContext } from '../model/inventory.ts'
import { messages } from '../model/messages.ts'
import type { Docker } from './cli.ts'
import { connectionError, DockerError, succeed } from './errors.ts'
import { asJson, readJson } from './json.ts'
import { isPodman, takesParents } from './podman.ts'
import { contextSchema, infoSchema, versionSchema } from './schemas.ts'

export type Info = z.output<typeof infoSchema>

/** What the engine says of itself. Throws a DockerError with advice if no engine answers. */
export async function readInfo(
  docker: Docker,
  env: Record<string, string | undefined>
): Promise<Info> {
  const info = readJson(await ask(docker, 'info'), infoSchema, 'info')
  // Old CLIs exit with 0 if no engine answers.
  const errors = info.ServerErrors.join('\n')
  if (errors !== '')
    throw (
      connectionError(errors, env) ??
      new DockerError('no-engine', messages.engineError(errors))
    )
  return info
}

/** Throws a DockerError with advice if no engine answers. */
export async function readEngine(
  docker: Docker,
  env: Record<string, string | undefined>,
  known?: Info
): Promise<Engine> {
  const [info, parts] = await Promise.all([
    known ?? readInfo(docker, env),
    ask(docker, 'version')
  ])
  const { Server: server } = readJson(parts, versionSchema, 'version')
  return makeEngine(info, isPodman(server?.Components ?? []))
}

async function ask(docker: Docker, command: string): Promise<string> {
  const output = await docker([command, ...asJson], { limit: 60_000 })
  return succeed(output, command).stdout
}

export function makeEngine(info: Info, podman: boolean): Engine {
  const version = info.ServerVersion
  return {
    kind: podman ? 'podman' : 'docker',
    name: info.Name,
    id: info.ID,
    version,
    store: usesContainerd(info) ? 'containerd' : info.Driver,
    now: info.SystemTime ?? Date.now(),
    rootDir: info.DockerRootDir,
    kernel: info.KernelVersion,
    ...(info.Containerd?.Address && {
      containerdAddress: info.Containerd.Address
    }),
    takesParents: podman && takesParents(version),
    swarm: readSwarm(info),
    logsBuilds: !podman && Number.parseInt(version, 10) >= 23
  }
}

/** The endpoint where the environment or the engine's own answer says it; else it has to be asked for. */
export function knownContext(
  { ClientInfo }: Info,
  { DOCKER_HOST: host }: Record<string, string | undefined>
): EngineContext | undefined {
  const name = 'default'
  if (host) return { name, endpoint: host }
  return ClientInfo?.Context === name && process.platform === 'linux'
    ? { name, endpoint: 'unix:///var/run/docker.sock' }
    : undefined
}

export async function readContext(docker: Docker): Promise<EngineContext> {
  const output = await docker(['context', 'inspect'])
  const [context] =
    output.exitCode === 0
      ? readJson(output.stdout, contextSchema, 'context inspect')
      : []
  return {
    name: context?.Name || 'default',
    endpoint: context?.Endpoints?.docker?.Host ?? ''
  }
}

function usesContainerd({ DriverStatus }: Info): boolean {
  return DriverStatus.some(
    ([key, value]) =>
      key === 'driver-type' && value === 'io.containerd.snapshotter.v1'
  )
}

function readSwarm({ Swarm }: Info): Engine['swarm'] {
  const { LocalNodeState: state = '', ControlAvailable: manages } = Swarm ?? {}
  if (['', 'inactive'].includes(state)) return 'none'
  return manages ? 'manager' : 'worker'
}
