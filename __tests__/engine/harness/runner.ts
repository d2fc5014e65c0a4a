import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from '@jest/globals'
import { execa } from 'execa'

/**
 * A machine with a runner, as far as processes go: a namespace of its own, so that tests that run side by side are not
 * each other's jobs.
 */
export type Runner = {
  /** What the steps of this runner's job stand below: its worker. For `above`. */
  above: () => string[]
  /** Starts the job of another runner on this machine; returns what ends it. */
  startOther: () => Promise<() => Promise<void>>
}

/** A shell would lose the inputs: their names have hyphens. */
const worker = `#!${process.execPath}
const [command, ...args] = process.argv.slice(2)
const child = require('node:child_process').spawn(command, args, { stdio: 'inherit' })
child.on('exit', (code) => process.exit(code ?? 1))
`

/** Says by which ID the others know it, and waits in a list of processes that has no others. */
const wait =
  'read pid rest </proc/self/stat && mount -t proc proc /proc && echo $pid && exec cat'

const root = process.getuid?.() === 0

export function useRunner(): Runner {
  let folder = ''
  let inside: string[] = []
  let end = () => Promise.resolve()
  const path = () => join(folder, 'Runner.Worker')

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'runner-'))
    await writeFile(path(), worker, { mode: 0o755 })
    // The action trusts only the namespace that a machine starts with.
    await mkdir(join(folder, 'ns'))
    await symlink('pid:[4026531836]', join(folder, 'ns/pid'))
    const namespaces = ['--pid', '--mount']
    const machine = await startCommand(
      ...['unshare', ...(root ? [] : ['--map-root-user']), ...namespaces],
      ...['--fork', 'sh', '-c', wait]
    )
    end = machine.end
    inside = [
      ...['nsenter', '--target', machine.said, ...namespaces],
      ...(root ? [] : ['--user', '--preserve-credentials'])
    ]
  })
  afterAll(async () => {
    await end()
    await rm(folder, { recursive: true })
  })

  return {
    above: () => [
      ...[...inside, path(), 'bash', '-c'],
      ...[`mount --bind ${folder}/ns /proc/$$/ns && exec "$@"`, 'bash']
    ],
    startOther: async () => {
      const say = 'echo at work; exec cat'
      return (await startCommand(...inside, path(), 'sh', '-c', say)).end
    }
  }
}

/** Starts a command that says a word as soon as it is at work, and ends with its input. */
async function startCommand(
  ...[program = '', ...args]: string[]
): Promise<{ said: string; end: () => Promise<void> }> {
  const running = execa(program, args, { stdin: 'pipe', reject: false })
  const said = String((await once(running.stdout, 'data'))[0]).trim()
  return {
    said,
    end: async () => {
      running.stdin.end()
      await running
    }
  }
}
