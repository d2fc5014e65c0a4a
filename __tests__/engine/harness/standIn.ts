import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { exists } from '../../../scripts/engines/packages.ts'

/** A docker in front of the real one, for what nobody can make a real one do at the right moment. */
export type StandIn = {
  /**
   * Writes a docker that does something of its own right before it passes on a call: what another job may do on the same
   * engine at the worst moment, or a fault. In the hooks, `$docker` is the real one; `once` runs what follows it one time
   * only; `count NAME` says how often it was called; `mark NAME` is what `untilMarked` waits for; `pause` waits for `go`.
   */
  dockerThat: (hooks: string) => Promise<string>
  /** Waits until that docker has come to these marks. */
  untilMarked: (...names: string[]) => Promise<void>
  /** Waits until it has come to its `pause`. */
  untilPaused: () => Promise<void>
  go: () => Promise<void>
}

export function createStandIn(
  real: () => { docker: string; folder: string }
): StandIn {
  const untilMarked = async (...names: string[]) => {
    for (const name of names) await untilThere(join(real().folder, name))
  }
  return {
    dockerThat: async (hooks) => {
      const { docker, folder } = real()
      const path = join(folder, 'docker')
      await writeFile(path, script(docker, folder, hooks), { mode: 0o755 })
      return path
    },
    untilMarked,
    untilPaused: () => untilMarked('paused'),
    go: () => writeFile(join(real().folder, 'go'), '')
  }
}

/** Waits until there is such a file. */
export async function untilThere(path: string): Promise<void> {
  for (let attempt = 0; !(await exists(path)); attempt += 1) {
    if (attempt === 1_500) throw new Error(`${path} did not come`)
    await sleep(20)
  }
}

const script = (docker: string, folder: string, hooks: string) => `#!/bin/sh
docker=${docker}
once() { mkdir ${folder}/once 2>/dev/null && "$@" >/dev/null; }
count() { echo >>${folder}/$1; wc -l <${folder}/$1; }
mark() { : >${folder}/$1; }
pause() { mark paused; while [ ! -e ${folder}/go ]; do sleep 0.05; done; }
${hooks}
exec "$docker" "$@"
`

/**
 * Hooks that make the engine's clock say an hour more than it is: every age counts from what \`docker info\` says. A
 * moment that is sent to the engine is set back by as much.
 */
export const anHourLater = `
case "$1 $2" in
"info "*)
  out=$("$docker" "$@") || exit
  now=$(printf %s "$out" | sed 's/.*"SystemTime":"\\([^"]*\\)".*/\\1/')
  later=$(date --utc --date "$now 1 hour" +%Y-%m-%dT%H:%M:%S.%NZ)
  printf '%s\\n' "$out" | sed "s/\\"SystemTime\\":\\"[^\\"]*\\"/\\"SystemTime\\":\\"$later\\"/"
  exit ;;
"events "*)
  for word; do
    shift
    case $last in --until|--since) [ "$word" = 1 ] || word=$((\${word%.*} - 3600)).\${word#*.} ;; esac
    last=$word
    set -- "$@" "$word"
  done ;;
esac`
