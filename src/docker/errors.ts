export type Output = { exitCode: number; stdout: string; stderr: string }

export type DockerErrorKind =
  | 'no-cli'
  | 'no-engine'
  | 'no-permission'
  | 'no-answer'
  | 'cancelled'
  | 'too-large'
  | 'failed'

/** A call without an answer from the engine. The message says what to do about it. */
export class DockerError extends Error {
  override name = 'DockerError'
  readonly kind: DockerErrorKind
  /** Printed before the call failed. */
  readonly stdout: string

  constructor(kind: DockerErrorKind, message: string, stdout = '') {
    super(message)
    this.kind = kind
    this.stdout = stdout
  }
}

/** Throws a DockerError if the call failed. */
export function succeed(output: Output, what: string): Output {
  if (output.exitCode === 0) return output
  throw new DockerError('failed', describeExit(output, what))
}

/** Why a call failed: what it printed, or else its exit code. */
export function wordsOf(output: Output, what: string): string {
  return cut(output.stderr) || describeExit(output, what)
}

/** Undefined if the call fails for any reason but a cancel. */
export async function optional<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    if (error instanceof DockerError && error.kind !== 'cancelled')
      return undefined
    throw error
  }
}

export function describeCall(command: string, args: readonly string[]): string {
  const shown = args.slice(0, 4).join(' ')
  return `"${command} ${shown}${args.length > 4 ? ' …' : ''}"`
}

export function describeTimeout(
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

export function failureToStart(
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

const unreachable =
  /cannot connect to the docker daemon|error during connect|failed to connect to the docker api|unable to resolve docker endpoint|connection refused|i\/o timeout|no such host|tls: |x509: |unexpected eof|client version .* is too (?:new|old)/i

/** The error behind the words of a CLI that did not reach an engine; undefined if it did. */
export function connectionError(
  stderr: string,
  env: Record<string, string | undefined>
): DockerError | undefined {
  const words = stderr
    .split('\n')
    // The engine itself printed these lines: one of its plugins may have refused a connection.
    .filter((line) => !line.includes('Error response from daemon'))
    .join('\n')
    .trim()
  if (/permission denied while trying to connect/i.test(words))
    return new DockerError(
      'no-permission',
      'No permission to talk to the Docker engine. Run the step as a user who may use its socket: ' +
        `root, or a member of the group docker (the runner has to be started again after that).\n${cut(words)}`
    )
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

function describeExit({ exitCode, stderr }: Output, what: string): string {
  return `docker ${what} failed with exit code ${exitCode}: ${cut(stderr) || 'it said nothing'}`
}

function cut(text: string): string {
  const trimmed = text.trim()
  return trimmed.length > 4_000
    ? `${trimmed.slice(0, 2_000)}\n…\n${trimmed.slice(-2_000)}`
    : trimmed
}
