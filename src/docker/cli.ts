import { execa } from 'execa'
import pLimit from 'p-limit'
import { messages } from '../model/messages.ts'
import {
  connectionError,
  describeCall,
  DockerError,
  failureToStart,
  type Output
} from './errors.ts'

/** Calls the Docker CLI. Throws a DockerError if no engine answers; an engine that refuses sets the exit code. */
export type Docker = (
  args: readonly string[],
  options?: CallOptions
) => Promise<Output>

export type CallOptions = {
  /** Milliseconds; the call also ends at the deadline of the step. */
  limit?: number
  /** After the deadline or a cancel, the call has a few more seconds to finish. */
  grace?: boolean
  /** Kills the call at once, which then has no exit code. */
  kill?: AbortSignal
  /** The call does not begin after this signal, and has no exit code either. */
  unless?: AbortSignal
  /** The call does not wait for others to end. */
  aside?: boolean
  /** Characters that the call may print. */
  most?: number
  env?: Record<string, string>
  /** The call may go to something other than the engine: a failed connection is then an exit code, not an error. */
  elsewhere?: boolean
}

/** A call in progress; `since` is a time of performance.now(). */
export type RunningCall = { command: string; since: number }

type Cli = {
  command: string
  env: Record<string, string | undefined>
  /** A time of Date.now(). */
  deadline: number
  signal: AbortSignal
}

type Limits = {
  cancelSignal: AbortSignal
  timeout: number
  byBudget: boolean
}

/** Listing 10,000 images took a minute on the slowest store. */
const defaultLimit = 5 * 60_000

const graceAfterDeadline = 10_000

/** The runner kills a cancelled step after 10 s. */
const graceAfterCancel = 2_000

/** Characters of a command line. Windows allows 32,767, including the path of the CLI, quotes and other arguments. */
const longestCommand = 16_000

/** Runs at most `concurrency` processes at once but for those `aside`, and lists them in `running`. Stops a process with all its children. */
export function createDocker({
  concurrency,
  running = new Set(),
  ...cli
}: Cli & { concurrency: number; running?: Set<RunningCall> }): Docker {
  const queue = pLimit(concurrency)
  const lateSignal = delayed(cli.signal)
  return (args, options = {}) => {
    const run = async () => {
      const words = [cli.command, ...args.slice(0, 2)]
      const started = { command: words.join(' '), since: performance.now() }
      running.add(started)
      try {
        const cancelSignal = options.grace ? lateSignal : cli.signal
        return await call(cli, args, options, cancelSignal)
      } finally {
        running.delete(started)
      }
    }
    return options.aside ? run() : queue(run)
  }
}

/** How many of the first names fit into one command line: at most `most`, at least one. */
export function countForOneCall(
  names: readonly string[],
  most: number
): number {
  let characters = 0
  let count = 0
  for (const name of names.slice(0, most)) {
    characters += name.length + 1
    if (count > 0 && characters > longestCommand) break
    count += 1
  }
  return count
}

function delayed(signal: AbortSignal): AbortSignal {
  const controller = new AbortController()
  signal.addEventListener('abort', () => {
    setTimeout(() => {
      controller.abort()
    }, graceAfterCancel).unref()
  })
  return controller.signal
}

async function call(
  cli: Cli,
  args: readonly string[],
  options: CallOptions,
  cancelSignal: AbortSignal
): Promise<Output> {
  if (cancelSignal.aborted)
    throw new DockerError('cancelled', messages.cancelled())
  const { limit = defaultLimit, grace, elsewhere, kill, unless } = options
  if (kill?.aborted || unless?.aborted)
    return { exitCode: NaN, stdout: '', stderr: '' }
  const budget = cli.deadline + (grace ? graceAfterDeadline : 0) - Date.now()
  const timeout = Math.max(Math.min(limit, budget), 1)
  const limits = { cancelSignal, timeout, byBudget: budget < limit }
  const output = await runProcess(cli, args, options, limits)
  const { exitCode, stdout, stderr } = output
  const broken =
    exitCode === 0 || elsewhere ? undefined : connectionError(stderr, cli.env)
  if (broken !== undefined)
    throw new DockerError(broken.kind, { text: broken.message }, stdout)
  return output
}

async function runProcess(
  { command, env }: Cli,
  args: readonly string[],
  { most, env: extra, kill }: CallOptions,
  { cancelSignal, timeout, byBudget }: Limits
): Promise<Output> {
  const running = execa(command, args, {
    env: { ...env, ...extra },
    extendEnv: false,
    stdin: 'ignore',
    reject: false,
    timeout,
    cancelSignal,
    killDescendants: true,
    forceKillAfterDelay: 1_000,
    stripFinalNewline: true,
    ...(most !== undefined && { maxBuffer: most })
  })
  const end = () => running.kill('SIGKILL')
  kill?.addEventListener('abort', end)
  const result = await running
  kill?.removeEventListener('abort', end)
  const { stdout, stderr, exitCode } = result
  const name = describeCall(command, args)
  if (result.timedOut)
    throw new DockerError(
      'no-answer',
      byBudget
        ? messages.noAnswerInTime(name)
        : messages.noAnswer(name, String(Math.ceil(timeout / 1_000))),
      stdout
    )
  if (result.isCanceled)
    throw new DockerError('cancelled', messages.cancelled(), stdout)
  if (result.isMaxBuffer)
    throw new DockerError('too-large', messages.outputTooLarge(name))
  if (exitCode === undefined && kill?.aborted)
    return { exitCode: NaN, stdout, stderr }
  if (exitCode === undefined) throw failureToStart(command, name, result)
  return { exitCode, stdout, stderr }
}
