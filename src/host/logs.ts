import { lstat, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { sum } from '../units.ts'
import type { Engine } from '../model/inventory.ts'
import type { LogSizes } from '../model/plan.ts'
import { whyNotHere } from './here.ts'
import type { Written } from '../model/inventory.ts'

export const logsNote =
  'Container logs are not counted: their size can only be read by root on the engine’s host.'

/** Measures the logs of containers, which are in no figure of the engine's and go with their containers. */
export async function measureLogs(
  engine: Engine,
  endpoint: string,
  containers: ReadonlyMap<string, Written>
): Promise<LogSizes> {
  // Podman 5.4 has the log in the container's size, 4.3 has not: better too little than twice.
  if (engine.kind === 'podman') return { bytes: new Map(), unread: false }
  const away = await whyNotHere(engine, endpoint)
  const measured = await Promise.all(
    [...containers].map(async ([id, written]) => {
      const folder = folderOfLog(engine, id, written)
      const bytes = away === undefined ? await sizeOfLogs(folder) : undefined
      return { id, bytes, unread: bytes === undefined && hasLog(written) }
    })
  )
  return {
    bytes: new Map(
      measured.flatMap(({ id, bytes }) =>
        bytes === undefined ? [] : [[id, bytes] as const]
      )
    ),
    unread: measured.some(({ unread }) => unread)
  }
}

/** The driver `local` does not say where its files are. */
function hasLog({ logPath, logDriver }: Written): boolean {
  return logPath !== '' || logDriver === 'local'
}

function folderOfLog(
  { rootDir }: Engine,
  id: string,
  { logPath }: Written
): string {
  return logPath === '' ? join(rootDir, 'containers', id) : dirname(logPath)
}

/** The files of `local` lie in a folder of their own; drivers that write elsewhere may leave a copy. */
const localLogs = 'local-logs'
const isLog = (name: string) => /\.log(\.\d+)?(\.gz)?$/.test(name)

/** The size of the logs in a container's folder, with those that were rotated; undefined where it cannot be read. */
async function sizeOfLogs(folder: string): Promise<number | undefined> {
  try {
    const names = await readdir(folder)
    const local = names.includes(localLogs) ? join(folder, localLogs) : ''
    const more = local === '' ? [] : await readdir(local)
    const files = [
      ...names.filter(isLog).map((name) => join(folder, name)),
      ...more.filter(isLog).map((name) => join(local, name))
    ]
    const found = await Promise.all(files.map((file) => lstat(file)))
    return sum(found.map(({ size }) => size))
  } catch {
    return undefined
  }
}
