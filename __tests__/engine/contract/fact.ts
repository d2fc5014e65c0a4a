import { expect, test } from '@jest/globals'
import { execa } from 'execa'
import { createCli, type Cli } from '../../../scripts/fixtures/fixtures.ts'
import type { Output } from '../../../src/docker/errors.ts'
import type { TestEngine } from '../harness/engine.ts'

/** The docker of a test, and its path for the input `docker`. */
export type Asked = {
  docker: Cli
  /** Its output, also where it fails. */
  answer: (...args: string[]) => Promise<Output>
  command: string
  /** The engine's major version. */
  major: number
}

/**
 * Tests what Docker does and this action relies on; the number is that of the fact in the design's list. Each fact is
 * tested twice: on the engine as it is, and with a docker in front of it that breaks the fact (`broken`: hooks of
 * `dockerThat`). There an expectation has to fail, or the test proves nothing.
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

/** Hooks that change what a command prints (`image inspect`), by a script of sed. */
export const printing = (command: string, script: string): string => `
case "$1 $2" in
"${command}")
  printed=$("$docker" "$@"); code=$?
  printf '%s\\n' "$printed" | sed '${script}'
  exit $code ;;
esac`

/** Hooks that answer a command with an error of the engine. */
export const failing = (command: string, words: string): string => `
case "$1 $2" in
"${command}") echo 'Error response from daemon: ${words}' >&2; exit 1 ;;
esac`

/** What inspect says of one thing, without a format. */
export async function inspectOne<T>(
  docker: Cli,
  kind: 'container' | 'image' | 'network' | 'volume',
  name: string
): Promise<T> {
  const [found] = JSON.parse(await docker(kind, 'inspect', name)) as [T]
  return found
}

/** The values that a command printed, one a line. */
export const readLines = <T>(stdout: string): T[] =>
  stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as T)
