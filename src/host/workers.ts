import { readdir, readFile, readlink } from 'node:fs/promises'
import { uptime } from 'node:os'
import { basename, join } from 'node:path'
import { codeOf } from '../files.ts'

/** `ticks`: from the start of the machine to that of the process. */
type Process = { id: number; parent: number; isWorker: boolean; ticks: number }

/** The runner starts one of these for each job. */
const worker = /^Runner\.Worker(?:\.dll|\.exe)?$/

/** The machine's first PID namespace, whose number is fixed in the kernel. Other namespaces show only some processes. */
const firstNamespace = 'pid:[4026531836]'

/** Linux always reports this value to programs. */
const ticksPerSecond = 100

/** When the oldest running job on this host began; Infinity without jobs, undefined if the processes are not visible. */
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

/** Why other jobs may be running on this host; undefined if its only worker is that of this process. */
export async function findOtherJobs({
  proc = '/proc',
  self = process.pid
} = {}): Promise<string | undefined> {
  const processes = await listProcesses(proc)
  if (typeof processes === 'string') return distrust(processes)
  const byId = new Map(processes.map((one) => [one.id, one]))
  const own = lineOf(self, byId)
  const workers = processes.filter(({ isWorker }) => isWorker)
  const ours = workers.filter(({ id }) => own.has(id))
  if (ours.length === 0)
    return distrust('the Runner.Worker of this job is not in the process list')
  const other = workers.find(({ id }) => {
    // A worker below ours was started by this job.
    const line = lineOf(id, byId)
    return !own.has(id) && !ours.some((one) => line.has(one.id))
  })
  return (
    other &&
    `another job is running on this host (Runner.Worker, process ${other.id})`
  )
}

/** The IDs of a process and its ancestors. */
function lineOf(id: number, byId: ReadonlyMap<number, Process>): Set<number> {
  const ids = new Set<number>()
  for (let at = byId.get(id); at; at = byId.get(at.parent)) {
    if (ids.has(at.id)) break
    ids.add(at.id)
  }
  return ids
}

function distrust(why: string): string {
  return `other jobs may be running on this host (${why})`
}

async function listProcesses(proc: string): Promise<Process[] | string> {
  try {
    if ((await readlink(join(proc, 'self/ns/pid'))) !== firstNamespace)
      return 'only part of the process list is visible'
    const ids = (await readdir(proc)).filter((name) => /^\d+$/.test(name))
    // With the mount option hidepid, users do not see process 1 either.
    if (!ids.includes('1'))
      return 'the process list is hidden by the mount option hidepid'
    const found = await Promise.all(ids.map((id) => readProcess(proc, id)))
    return found.flat()
  } catch (error) {
    return `the process list cannot be read: ${String(error)}`
  }
}

/** Empty if the process has ended. */
async function readProcess(proc: string, id: string): Promise<Process[]> {
  try {
    const read = (file: string) => readFile(join(proc, id, file), 'utf8')
    // `1 (name) S 0 …`; the name may contain anything.
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
