import { lstat, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Engine, Written } from '../model/inventory.ts'
import type { LogSizes } from '../model/plan.ts'
import { sum } from '../units.ts'
import { whyNotHere } from './here.ts'

export const logsNote =
  'Container logs are not counted: only root on the engine’s host can read their size.'

/** The driver `local` writes here; other drivers may keep a copy here. */
const localLogs = 'local-logs'

/** Measures the logs of containers, which no figure of Docker's includes. */
export async function measureLogs(
  engine: Engine,
  endpoint: string,
  containers: ReadonlyMap<string, Written>
): Promise<LogSizes> {
  // Podman 5.4 counts the log in the size of a container and 4.3 does not: too little is better than twice.
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

/** For the driver `local` Docker reports no path. */
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

/** The size of the logs in the folder of a container, rotated ones included; undefined if they cannot be read. */
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

function isLog(name: string): boolean {
  return /\.log(\.\d+)?(\.gz)?$/.test(name)
}
