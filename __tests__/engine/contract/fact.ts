import { expect, test } from '@jest/globals'
import { execa } from 'execa'
import { createCli, type Cli } from '../../../scripts/fixtures/fixtures.ts'
import type { Output } from '../../../src/docker/errors.ts'
import type { TestEngine } from '../harness/engine.ts'

export type Asked = {
  docker: Cli
  /** Runs docker; returns its output even if it fails. */
  answer: (...args: string[]) => Promise<Output>
  /** The path of this docker, for the input `docker`. */
  command: string
  /** The engine's major version. */
  major: number
}

/**
 * Tests a fact about Docker that this action relies on, by its number in the design's list. Each fact is tested twice:
 * on the real engine, and with the hooks `broken`, which break the fact. In that run, an expectation must fail.
 */
export function createFacts(
  {
    engine,
    dockerThat,
    api
  }: Pick<TestEngine, 'engine' | 'dockerThat' | 'api'>,
  it: (name: string, body: () => Promise<void>) => void = test
) {
  const ask = async (hooks: string): Promise<Asked> => {
    const command = await dockerThat(hooks)
    const { Version } = await api().get<{ Version: string }>('/version')
    return {
      command,
      docker: createCli({ ...engine(), docker: command }),
      answer: async (...args) => {
        const env = { DOCKER_HOST: engine().host }
        const options = { env, reject: false } as const
        const { stdout, stderr, exitCode } = await execa(command, args, options)
        return { stdout, stderr, exitCode: exitCode ?? NaN }
      },
      major: Number.parseInt(Version, 10)
    }
  }
  return (
    numbers: string,
    name: string,
    broken: string,
    body: (asked: Asked) => Promise<void>
  ): void => {
    it(`${numbers}: ${name}`, async () => body(await ask('')))
    it(`${numbers}, broken: ${name}`, async () => {
      await expect(body(await ask(broken))).rejects.toThrow(/expect\(/)
    })
  }
}

/** Hooks that edit the output of a command, such as `image inspect`, with a sed script. */
export const printing = (command: string, script: string): string => `
case "$1 $2" in
"${command}")
  printed=$("$docker" "$@"); code=$?
  printf '%s\\n' "$printed" | sed '${script}'
  exit $code ;;
esac`

/** Hooks that make a command fail with an engine error. */
export const failing = (command: string, words: string): string => `
case "$1 $2" in
"${command}") echo 'Error response from daemon: ${words}' >&2; exit 1 ;;
esac`

/** Inspects one object, without a format. */
export async function inspectOne<T>(
  docker: Cli,
  kind: 'container' | 'image' | 'network' | 'volume',
  name: string
): Promise<T> {
  const [found] = JSON.parse(await docker(kind, 'inspect', name)) as [T]
  return found
}

/** Parses JSON values printed one per line. */
export const readLines = <T>(stdout: string): T[] =>
  stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as T)
