import type { z } from 'zod'
import type { Docker } from './cli.ts'
import { connectionError, DockerError, succeed } from './errors.ts'
import { readJson } from './json.ts'
import { isPodman, takesParents } from './podman.ts'
import { contextSchema, infoSchema, versionSchema } from './schemas.ts'
import type { Engine, EngineContext } from '../model/inventory.ts'

/** How the containerd image store names itself in `docker info`. */
const containerdDriver = 'io.containerd.snapshotter.v1'

/** Asks who the engine is. Throws a DockerError that says what to do where none answers. */
export async function readEngine(
  docker: Docker,
  env: Record<string, string | undefined>
): Promise<Engine> {
  const ask = async (command: string) => {
    const args = [command, '--format', '{{json .}}']
    return succeed(await docker(args, { limit: 60_000 }), command).stdout
  }
  const [facts, parts] = await Promise.all([ask('info'), ask('version')])
  const info = readJson(facts, infoSchema, 'info')
  // Old CLIs exit with 0 here although no engine answered.
  const errors = info.ServerErrors.join('\n')
  if (errors !== '')
    throw connectionError(errors, env) ?? new DockerError('no-engine', errors)
  const containerd = info.DriverStatus.some(
    ([key, value]) => key === 'driver-type' && value === containerdDriver
  )
  const { Server: server } = readJson(parts, versionSchema, 'version')
  const version = info.ServerVersion
  const podman = isPodman(server?.Components ?? [])
  return {
    kind: podman ? 'podman' : 'docker',
    name: info.Name,
    id: info.ID,
    version,
    store: containerd ? 'containerd' : info.Driver,
    now: info.SystemTime ?? Date.now(),
    rootDir: info.DockerRootDir,
    kernel: info.KernelVersion,
    ...(info.Containerd?.Address && {
      containerdAddress: info.Containerd.Address
    }),
    takesParents: podman && takesParents(version),
    swarm: readSwarm(info.Swarm),
    logsBuilds: !podman && Number.parseInt(version, 10) >= 23
  }
}

function readSwarm(swarm: z.output<typeof infoSchema>['Swarm']) {
  const { LocalNodeState: state = '', ControlAvailable: manages } = swarm ?? {}
  if (['', 'inactive'].includes(state)) return 'none'
  return manages ? 'manager' : 'worker'
}

/** Reads the context that the CLI uses. Reaches no engine. */
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
