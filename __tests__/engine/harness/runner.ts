import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from '@jest/globals'
import { execa } from 'execa'

/** Simulates a runner's processes in a PID namespace, so that parallel tests do not see each other's jobs. */
export type Runner = {
  /** The worker that steps run under, for the option `above`. */
  above: () => string[]
  /** The same host without a worker, for the option `above`. */
  host: () => string[]
  /** Starts a job of another runner on the same host; returns a function that ends it. */
  startOther: () => Promise<() => Promise<void>>
}

/** Uses Node, since a shell drops the inputs: their names contain hyphens. */
const worker = `#!${process.execPath}
const [command, ...args] = process.argv.slice(2)
const child = require('node:child_process').spawn(command, args, { stdio: 'inherit' })
child.on('exit', (code) => process.exit(code ?? 1))
`

/** Prints its PID outside the namespace, mounts a /proc of the namespace, and waits. */
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
    // The action trusts only the initial PID namespace of a host.
    await mkdir(join(folder, 'ns'))
    await symlink('pid:[4026531836]', join(folder, 'ns/pid'))
    const namespaces = ['--pid', '--mount']
    const machine = await startCommand(
      ...['unshare', ...(root ? [] : ['--map-root-user']), ...namespaces],
      ...['--fork', 'sh', '-c', wait]
    )
    end = machine.end
    inside = [
      ...['nsenter', '--target', machine.printed, ...namespaces],
      ...(root ? [] : ['--user', '--preserve-credentials'])
    ]
  })
  afterAll(async () => {
    await end()
    await rm(folder, { recursive: true })
  })

  const inShell = (...command: string[]) => [
    ...[...inside, ...command, 'bash', '-c'],
    ...[`mount --bind ${folder}/ns /proc/$$/ns && exec "$@"`, 'bash']
  ]
  return {
    above: () => inShell(path()),
    host: () => inShell(),
    startOther: async () => {
      const say = 'echo at work; exec cat'
      return (await startCommand(...inside, path(), 'sh', '-c', say)).end
    }
  }
}

/** Starts a command that prints a word when it is ready, and ends when its input closes. */
async function startCommand(
  ...[program = '', ...args]: string[]
): Promise<{ printed: string; end: () => Promise<void> }> {
  const running = execa(program, args, { stdin: 'pipe', reject: false })
  const printed = String((await once(running.stdout, 'data'))[0]).trim()
  return {
    printed,
    end: async () => {
      running.stdin.end()
      await running
    }
  }
}
