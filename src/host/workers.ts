import { readdir, readFile, readlink } from 'node:fs/promises'
import { uptime } from 'node:os'
import { basename, join } from 'node:path'
import { codeOf } from '../files.ts'

/** The runner starts one such process for each job. */
const worker = /^Runner\.Worker(?:\.dll|\.exe)?$/

/** The namespace of processes that a machine starts with: its number is part of the kernel. In others some are missing. */
const firstNamespace = 'pid:[4026531836]'

/** `ticks`: when it began, in ticks since the machine did. */
type Process = { id: number; parent: number; isWorker: boolean; ticks: number }

/** Linux has told programs of so many a second for ever. */
const ticksPerSecond = 100

/**
 * When the oldest job began that runs on this host, as Date.now() counts; Infinity where none does, undefined where
 * the processes cannot be seen.
 */
export async function findOldestJob(
  proc = '/proc'
): Promise<number | undefined> {
  const processes = await listProcesses(proc)
  if (typeof processes === 'string') return undefined
  const ages = processes
    .filter(({ isWorker }) => isWorker)
    .map(({ ticks }) => uptime() - ticks / ticksPerSecond)
  return ages.length > 0 ? Date.now() - Math.max(...ages) * 1_000 : Infinity
}

/**
 * Why other jobs may be at work on this host, by the list of its processes: there is a worker of another runner, or the
 * list cannot be trusted to show it. Undefined where only this process's own worker is there, the one above it.
 */
export async function findOtherJobs({
  proc = '/proc',
  self = process.pid
} = {}): Promise<string | undefined> {
  const processes = await listProcesses(proc)
  if (typeof processes === 'string') return distrust(processes)
  const byId = new Map(processes.map((one) => [one.id, one]))
  const above = (id: number) => {
    const ids = new Set<number>()
    for (let at = byId.get(id); at; at = byId.get(at.parent)) {
      if (ids.has(at.id)) break
      ids.add(at.id)
    }
    return ids
  }
  const own = above(self)
  const workers = processes.filter(({ isWorker }) => isWorker)
  const ours = workers.filter(({ id }) => own.has(id))
  if (ours.length === 0)
    return distrust('this job’s own Runner.Worker is not among them')
  const other = workers.find(({ id }) => {
    // What this job's worker has started is this job's.
    const line = above(id)
    return !own.has(id) && !ours.some((one) => line.has(one.id))
  })
  return (
    other &&
    `another runner’s job is at work on this host (Runner.Worker, process ${other.id})`
  )
}

function distrust(why: string): string {
  return `nobody can tell whether other runners are at work on this host: ${why}`
}

/** All processes of the host, or why they cannot be listed. */
async function listProcesses(proc: string): Promise<Process[] | string> {
  try {
    if ((await readlink(join(proc, 'self/ns/pid'))) !== firstNamespace)
      return 'this process sees only a part of its processes'
    const ids = (await readdir(proc)).filter((name) => /^\d+$/.test(name))
    // Where the list is kept from users, the first process is as well.
    if (!ids.includes('1')) return 'its processes are hidden from this user'
    const found = await Promise.all(ids.map((id) => readProcess(proc, id)))
    return found.flat()
  } catch (error) {
    return `its processes cannot be read (${String(error)})`
  }
}

/** Nothing where it has ended. */
async function readProcess(proc: string, id: string): Promise<Process[]> {
  try {
    const read = (file: string) => readFile(join(proc, id, file), 'utf8')
    // `1 (name) S 0 …`, where the name may have anything in it.
    const stat = await read('stat')
    const end = stat.lastIndexOf(')')
    const name = stat.slice(stat.indexOf('(') + 1, end)
    const fields = stat.slice(end + 2).split(' ')
    const [state = '', parent = ''] = fields
    if (state === 'Z' || state === 'X') return []
    const words = [name, ...(await read('cmdline')).split('\0')]
    const isWorker = words.some((word) => worker.test(basename(word)))
    const ticks = Number(fields[19])
    return [{ id: Number(id), parent: Number(parent), isWorker, ticks }]
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT' || code === 'ESRCH') return []
    throw error
  }
}
