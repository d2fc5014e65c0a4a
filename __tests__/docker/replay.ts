import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Docker } from '../../src/docker/cli.ts'
import type { Output } from '../../src/docker/errors.ts'

export type Json = Record<string, unknown>
export const identify = (one: Json) => String(one['Id'] ?? one['Name'])

/** The output of a real engine for each command; see scripts/fixtures/record.ts. */
export type Recording = { args: string[]; stdout: string }[]

const folder = join(import.meta.dirname, 'recordings')
export const recordings = new Map(
  readdirSync(folder).map((name) => [
    name,
    JSON.parse(readFileSync(join(folder, name), 'utf8')) as Recording
  ])
)

export const commandOf = (args: readonly string[]) =>
  /^(info|version|events)$/.test(args[0] ?? '')
    ? String(args[0])
    : args.slice(0, 2).join(' ')

export const isInspection = ({ args }: { args: readonly string[] }) =>
  args[1] === 'inspect' && args[0] !== 'context'

/** Returns a docker that replays a recording, with the output of one call replaced by `changed`. */
export function replay(
  recording: Recording,
  changed?: Recording[number]
): Docker {
  const answer = (args: readonly string[]): Output => {
    const same = recording.filter(
      (one) => commandOf(one.args) === commandOf(args)
    )
    const call =
      same.find(
        (one) =>
          (args[0] === 'image' && args[1] === 'history'
            ? one.args.at(-1) === args.at(-1)
            : true) && one.args.includes('--size') === args.includes('--size')
      ) ?? same[0]
    if (call === undefined)
      return { exitCode: 125, stdout: '', stderr: 'unknown flag' }
    if (changed?.args === call.args)
      return { exitCode: 0, stdout: changed.stdout, stderr: '' }
    if (!isInspection(call))
      return { exitCode: 0, stdout: call.stdout, stderr: '' }
    const all = JSON.parse(call.stdout) as Json[]
    const names = args.slice(args.indexOf('--') + 1)
    const found = all.filter((one) => names.includes(identify(one)))
    const missing = names.filter(
      (name) => !found.some((one) => identify(one) === name)
    )
    return {
      exitCode: missing.length > 0 ? 1 : 0,
      stdout: JSON.stringify(found),
      stderr: missing
        .map((name) => `Error: No such ${String(args[0])}: ${name}`)
        .join('\n')
    }
  }
  return (args) => Promise.resolve(answer(args))
}
