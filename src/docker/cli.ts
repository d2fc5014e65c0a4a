import { execa } from 'execa'
import pLimit from 'p-limit'
import {
  connectionError,
  describeCall,
  describeTimeout,
  DockerError,
  failureToStart,
  type Output
} from './errors.ts'

/** Calls the Docker CLI. */
export type Docker = (
  args: readonly string[],
  options?: CallOptions
) => Promise<Output>

export type CallOptions = {
  /** Milliseconds after which the call is ended; the budget of the step ends it earlier. */
  limit?: number
  /** A removal that is under way when the budget runs out gets a moment to end by itself. */
  grace?: boolean
  /** Characters that the call may print. */
  most?: number
  /** Variables to add. */
  env?: Record<string, string>
  /** The call may go elsewhere than to the engine: that it found nobody there is for the caller to read. */
  elsewhere?: boolean
}

/** A call that has begun: its command, and when (as performance.now() counts). */
export type RunningCall = { command: string; since: number }

/** A call to a healthy engine ends long before: listing 10,000 images took a minute on the slowest store. */
const defaultLimit = 5 * 60_000

const graceAfterDeadline = 10_000

const graceAfterCancel = 2_000

/**
 * Makes the caller of a Docker CLI. No more than `concurrency` processes run at once; each is ended with all its
 * children at its limit, at the `deadline` (milliseconds, as Date.now() counts) and when `signal` aborts.
 * Throws a DockerError where no engine answered; a refusal by the engine is an exit code, for the caller to read.
 */
export function createDocker({
  command,
  env,
  concurrency,
  deadline,
  signal,
  running = new Set()
}: {
  command: string
  env: Record<string, string | undefined>
  concurrency: number
  deadline: number
  signal: AbortSignal
  /** Has what is under way, at any time. */
  running?: Set<RunningCall>
}): Docker {
  const queue = pLimit(concurrency)
  const kill = new AbortController()
  signal.addEventListener('abort', () => {
    // What is under way may end by itself; the runner leaves 10 s in all.
    setTimeout(() => {
      kill.abort()
    }, graceAfterCancel).unref()
  })

  async function call(
    args: readonly string[],
    { limit = defaultLimit, grace, most, env: extra, elsewhere }: CallOptions
  ): Promise<Output> {
    const cancelSignal = grace ? kill.signal : signal
    if (cancelSignal.aborted)
      throw new DockerError('cancelled', 'The run was cancelled.')
    const budget = deadline + (grace ? graceAfterDeadline : 0) - Date.now()
    const timeout = Math.max(Math.min(limit, budget), 1)
    const result = await execa(command, args, {
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
    const { stdout, stderr, exitCode } = result
    const name = describeCall(command, args)
    if (result.timedOut)
      throw new DockerError(
        'no-answer',
        describeTimeout(name, timeout, budget < limit),
        stdout
      )
    if (result.isCanceled)
      throw new DockerError('cancelled', 'The run was cancelled.', stdout)
    if (result.isMaxBuffer)
      throw new DockerError(
        'too-large',
        `${name} printed more than can be read.`
      )
    if (exitCode === undefined) throw failureToStart(command, name, result)
    const broken =
      exitCode === 0 || elsewhere ? undefined : connectionError(stderr, env)
    if (broken !== undefined)
      throw new DockerError(broken.kind, broken.message, stdout)
    return { exitCode, stdout, stderr }
  }

  return (args, options = {}) =>
    queue(async () => {
      const words = [command, ...args.slice(0, 2)]
      const started = { command: words.join(' '), since: performance.now() }
      running.add(started)
      try {
        return await call(args, options)
      } finally {
        running.delete(started)
      }
    })
}

/** Characters of a command line: Windows takes 32,767, with the path of the CLI, quotes and other arguments. */
const longestCommand = 16_000

/** How many of the first names go into one call: as many as fit into a command line, no more than `most`, at least one. */
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
