import { execa } from 'execa'
import pLimit from 'p-limit'

/** What a call printed, and how it ended. */
export type Output = { exitCode: number; stdout: string; stderr: string }

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

export type DockerErrorKind =
  | 'no-cli'
  | 'no-engine'
  | 'no-permission'
  | 'no-answer'
  | 'cancelled'
  | 'too-large'
  | 'failed'

/** A call that did not end in an answer of the engine. The message says what to do about it. */
export class DockerError extends Error {
  override name = 'DockerError'
  readonly kind: DockerErrorKind
  /** What the call had printed until then. */
  readonly stdout: string

  constructor(kind: DockerErrorKind, message: string, stdout = '') {
    super(message)
    this.kind = kind
    this.stdout = stdout
  }
}

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

function describeTimeout(
  name: string,
  timeout: number,
  byBudget: boolean
): string {
  const when = byBudget
    ? 'when the time of the step was up'
    : `after ${Math.ceil(timeout / 1_000)} s`
  const advice = byBudget
    ? ' If it is only slow, the input timeout gives the step more time.'
    : ''
  return `Docker did not answer: ${name} was ended ${when}. Is the engine overloaded or stuck?${advice}`
}

function failureToStart(
  command: string,
  name: string,
  {
    code,
    signal,
    originalMessage
  }: {
    code?: string | undefined
    signal?: string | undefined
    originalMessage?: string | undefined
  }
): DockerError {
  if (signal !== undefined)
    return new DockerError('failed', `${name} was ended by ${signal}.`)
  if (code === 'ENOENT')
    return new DockerError(
      'no-cli',
      `There is no Docker CLI: ${JSON.stringify(command)} was not found. ` +
        'Install Docker on the runner, or name the CLI in the input docker.'
    )
  if (code === 'EACCES')
    return new DockerError(
      'no-cli',
      `The Docker CLI ${JSON.stringify(command)} cannot be run: no permission. ` +
        'Make it executable, or name another one in the input docker.'
    )
  return new DockerError(
    'failed',
    `${name} could not be started: ${originalMessage ?? code ?? 'unknown'}`
  )
}

/** Reads from a CLI's words that it did not reach an engine; undefined where it did. */
export function connectionError(
  stderr: string,
  env: Record<string, string | undefined>
): DockerError | undefined {
  const words = stderr
    .split('\n')
    // What the engine itself says, it has been reached for: a plugin of it may refuse connections, too.
    .filter((line) => !line.includes('Error response from daemon'))
    .join('\n')
    .trim()
  if (/permission denied while trying to connect/i.test(words))
    return new DockerError(
      'no-permission',
      'No permission to talk to the Docker engine. Run the step as a user who may use its socket: ' +
        `root, or a member of the group docker (the runner has to be started again after that).\n${cut(words)}`
    )
  const unreachable =
    /cannot connect to the docker daemon|error during connect|failed to connect to the docker api|unable to resolve docker endpoint|connection refused|i\/o timeout|no such host|tls: |x509: |unexpected eof|client version .* is too (?:new|old)/i
  if (!unreachable.test(words)) return undefined
  const { DOCKER_HOST, DOCKER_CONTEXT } = env
  const set = Object.entries({ DOCKER_HOST, DOCKER_CONTEXT })
    .filter(([, value]) => value)
    .map(([name, value]) => `${name} is ${JSON.stringify(value)}`)
  const where = set.length > 0 ? ` (${set.join(', ')})` : ''
  return new DockerError(
    'no-engine',
    `No Docker engine answers. Start it, or point DOCKER_HOST or DOCKER_CONTEXT to one${where}.\n${cut(words)}`
  )
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

/** The start of a call, for messages. */
function describeCall(command: string, args: readonly string[]): string {
  const shown = args.slice(0, 4).join(' ')
  return `"${command} ${shown}${args.length > 4 ? ' …' : ''}"`
}

/** Throws the engine's words as an error where a call failed. */
export function succeed(output: Output, what: string): Output {
  if (output.exitCode === 0) return output
  throw new DockerError('failed', describeExit(output, what))
}

/** The words of a call that failed; of one that said nothing, how it ended. */
export function wordsOf(output: Output, what: string): string {
  return cut(output.stderr) || describeExit(output, what)
}

function describeExit({ exitCode, stderr }: Output, what: string): string {
  return `docker ${what} failed with exit code ${exitCode}: ${cut(stderr) || 'it said nothing'}`
}

/** As much of a text as somebody reads: its start and its end. */
function cut(text: string): string {
  const trimmed = text.trim()
  return trimmed.length > 4_000
    ? `${trimmed.slice(0, 2_000)}\n…\n${trimmed.slice(-2_000)}`
    : trimmed
}

/** A figure that may be left out: undefined where the engine did not give it, for whatever reason but a cancel. */
export async function orNothing<T>(figure: Promise<T>): Promise<T | undefined> {
  try {
    return await figure
  } catch (error) {
    if (error instanceof DockerError && error.kind !== 'cancelled')
      return undefined
    throw error
  }
}
