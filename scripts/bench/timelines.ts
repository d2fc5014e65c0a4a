import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runBundle, type Bed, type Store } from './bed.ts'
import { formatTime } from './figures.ts'
import { callTable, drawTimeline, readCalls, type Call } from './timeline.ts'

const project = join(import.meta.dirname, '../..')

/** Runs the step with a docker that logs its calls, and returns them with the step's duration. */
export async function recordCalls(
  bed: Bed,
  inputs: Record<string, string>
): Promise<{ calls: Call[]; total: number }> {
  const log = join(bed.folder, 'calls')
  const docker = join(bed.folder, 'docker')
  await writeFile(docker, wrapper(bed.engine.docker, log), { mode: 0o755 })
  const step = await runBundle(bed, { ...inputs, docker })
  const total = step.milliseconds
  const origin = step.startedAt
  const calls = readCalls(await readFile(log, 'utf8'), { origin, total })
  return { calls, total }
}

/** Runs the step, writes the timeline of its calls, and returns their table. */
export async function writeTimeline(
  bed: Bed,
  {
    inputs,
    store,
    folder
  }: { inputs: Record<string, string>; store: Store; folder: string }
): Promise<string> {
  const { calls, total } = await recordCalls(bed, inputs)
  const removed = bed.toRemove.length.toLocaleString('en')
  const title = `${store.name}: the docker calls of one step that removes ${removed} images in ${formatTime(total)}`
  await mkdir(join(project, folder), { recursive: true })
  const file = join(project, folder, `sweep-${store.name}.svg`)
  await writeFile(file, drawTimeline(calls, { title, total }))
  console.error(file)
  return [
    `The calls of one run of ${formatTime(total)}:`,
    callTable(calls)
  ].join('\n\n')
}

/** Makes a docker that logs its start, its end, and the first words of its command; bash does so without a process. */
function wrapper(docker: string, log: string): string {
  return `#!/bin/bash
case $2 in -* | '') name=$1 ;; *) name="$1 $2" ;; esac
[ "$4" != --until ] || name="$1 $4"
log() { echo "$1 $$ \${EPOCHREALTIME/[.,]/}000 $2" >>'${log}'; }
log start "$name"
'${docker}' "$@"
code=$?
log end
exit $code
`
}
