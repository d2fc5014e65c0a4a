import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { exists } from '../../../scripts/engines/packages.ts'

/** A docker in front of the real one, for changes and faults at an exact moment. */
export type StandIn = {
  /**
   * Writes a docker that runs shell hooks before it passes on a call. In the hooks, `$docker` is the real CLI, `once`
   * runs a command only the first time, `count NAME` prints how often it was called, `mark NAME` ends `untilMarked`,
   * `pause` waits for `go`, and `before_removal "$@"` succeeds once, right before the first batch.
   */
  dockerThat: (hooks: string) => Promise<string>
  /** Waits until the hooks have set these marks. */
  untilMarked: (...names: string[]) => Promise<void>
  /** Waits until the hooks pause. */
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

/** Waits until a file exists. */
export async function untilThere(path: string): Promise<void> {
  for (let attempt = 0; !(await exists(path)); attempt += 1) {
    if (attempt === 1_500) throw new Error(`${path} did not appear`)
    await sleep(20)
  }
}

const script = (docker: string, folder: string, hooks: string) => `#!/bin/sh
docker=${docker}
once() { mkdir ${folder}/once 2>/dev/null && "$@" >/dev/null; }
count() { echo >>${folder}/$1; wc -l <${folder}/$1; }
mark() { : >${folder}/$1; }
before_removal() {
  case "$1 $2 $4" in "container ls "*) [ "$(count listings)" = 2 ] ;; events*--until) [ "$(count logs)" = 2 ] ;; *) false ;;
  esac && mkdir ${folder}/before-removal 2>/dev/null
}
pause() { mark paused; while [ ! -e ${folder}/go ]; do sleep 0.05; done; }
${hooks}
exec "$docker" "$@"
`

/** A hook in front of the event stream alone; the log can be read. */
export const onStream = (hook: string): string =>
  `case "$1 $4" in "events --format") ${hook || ':'} ;; esac`

export const withoutStream = onStream('exit')

/** A hook that notes every call; see `callsIn`. */
export const noteCalls = 'echo "$@" >>"${0%/*}/calls"'

/** The calls that `noteCalls` noted in the folder of a test, which it then forgets. */
export async function callsIn(folder: string): Promise<string[]> {
  const file = join(folder, 'calls')
  const text = await readFile(file, 'utf8').catch(() => '')
  await rm(file, { force: true })
  return text.split('\n').filter(Boolean)
}

/**
 * Hooks that move the engine's clock by some seconds: ages count from the time in `docker info`. Times that are sent to
 * the engine are moved back.
 */
export const clockMoved = (seconds: number): string => `
case "$1 $2" in
"info "*)
  out=$("$docker" "$@") || exit
  now=$(printf %s "$out" | sed 's/.*"SystemTime":"\\([^"]*\\)".*/\\1/')
  then=$(date --utc --date "$now ${seconds} seconds" +%Y-%m-%dT%H:%M:%S.%NZ)
  printf '%s\\n' "$out" | sed "s/\\"SystemTime\\":\\"[^\\"]*\\"/\\"SystemTime\\":\\"$then\\"/"
  exit ;;
"events "*)
  for word; do
    shift
    case $last in --until|--since) [ "$word" = 1 ] || word=$((\${word%.*} - ${seconds})).\${word#*.} ;; esac
    last=$word
    set -- "$@" "$word"
  done ;;
esac`

export const hour = 3_600
export const day = 24 * hour
