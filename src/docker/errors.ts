import { type Message, messages } from '../model/messages.ts'

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

  constructor(kind: DockerErrorKind, { text }: Message, stdout = '') {
    super(text)
    this.kind = kind
    this.stdout = stdout
  }
}

/** Throws a DockerError if the call failed. */
export function succeed(output: Output, what: string): Output {
  if (output.exitCode === 0) return output
  throw new DockerError('failed', failedCall(output, what))
}

/** Why a call failed: what it printed, or else its exit code. */
export function wordsOf(output: Output, what: string): string {
  return cut(output.stderr) || failedCall(output, what).text
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
    return new DockerError('failed', messages.cliKilled(name, signal))
  const quoted = JSON.stringify(command)
  if (code === 'ENOENT')
    return new DockerError('no-cli', messages.cliNotFound(quoted))
  if (code === 'EACCES')
    return new DockerError('no-cli', messages.cliNotExecutable(quoted))
  const why = originalMessage ?? code ?? 'unknown reason'
  return new DockerError('failed', messages.cliNotStarted(name, why))
}

const unreachable =
  /cannot connect to the docker daemon|error during connect|failed to connect to the docker api|unable to resolve docker endpoint|protocol not available|connection refused|i\/o timeout|no such host|tls: |x509: |unexpected eof|client version .* is too (?:new|old)/i

/** What to do, by the CLI's words; the first match counts. */
const hints: readonly [words: RegExp, hint: string][] = [
  [
    /bind address format|protocol not available/i,
    'Set DOCKER_HOST to the address of an engine (unix://…, tcp://… or ssh://…). A proxy belongs into HTTPS_PROXY.'
  ],
  [
    /client version .* is too (?:new|old)/i,
    'The Docker CLI and the engine do not support each other: update the older one.'
  ],
  [
    /tls: |x509: |http response to https/i,
    'Check DOCKER_TLS_VERIFY and DOCKER_CERT_PATH.'
  ],
  [/docker_?engine/i, 'Start Docker Desktop or the Docker service.'],
  [
    /unix:\/\//i,
    'Start Docker. In a job container, mount its socket (volumes: /var/run/docker.sock:/var/run/docker.sock). For rootless Docker, set DOCKER_HOST to unix://$XDG_RUNTIME_DIR/docker.sock.'
  ]
]

const otherHint =
  'Start Docker there, or set DOCKER_HOST or DOCKER_CONTEXT to a running engine.'

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
      messages.permissionDenied(cut(words))
    )
  if (!unreachable.test(words)) return undefined
  const { DOCKER_HOST, DOCKER_CONTEXT } = env
  const set = Object.entries({ DOCKER_HOST, DOCKER_CONTEXT })
    .filter(([, value]) => value)
    .map(([name, value]) => `${name} is ${JSON.stringify(value)}`)
  const where = set.length > 0 ? ` (${set.join(', ')})` : ''
  const [, hint = otherHint] = hints.find(([known]) => known.test(words)) ?? []
  return new DockerError(
    'no-engine',
    messages.engineNotReached(where, hint, cut(words))
  )
}

function failedCall({ exitCode, stderr }: Output, what: string): Message {
  const words = cut(stderr) || 'it printed nothing'
  return messages.commandFailed(what, String(exitCode), words)
}

function cut(text: string): string {
  const trimmed = text.trim()
  return trimmed.length > 4_000
    ? `${trimmed.slice(0, 2_000)}\n…\n${trimmed.slice(-2_000)}`
    : trimmed
}
