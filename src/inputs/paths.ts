import { homedir, hostname, tmpdir } from 'node:os'
import { isAbsolute, join, relative } from 'node:path'
import type { InputTexts } from '../model/inputs.ts'
import { quote } from './parsers.ts'
import type { Problem } from './problems.ts'

type Paths = { stateDir: string; reportFile: string }

/** The paths of `state-dir` and `report-file`, with the folder of the runner that they may begin with. */
export function expandPaths(texts: InputTexts, env: NodeJS.ProcessEnv): Paths {
  const folders = {
    RUNNER_TOOL_CACHE: env['RUNNER_TOOL_CACHE'] || userState(env),
    RUNNER_TEMP: env['RUNNER_TEMP'] || tmpdir()
  }
  return {
    stateDir: expand(texts['state-dir'], folders),
    reportFile: expand(texts['report-file'], folders)
  }
}

/** The name of this host. Outside a workflow there is no RUNNER_NAME. */
export function expandHostName(text: string, env: NodeJS.ProcessEnv): string {
  const name = expand(text, { RUNNER_NAME: env['RUNNER_NAME'] ?? '' })
  return name || hostname()
}

export function problemsOfPaths(
  texts: InputTexts,
  { stateDir, reportFile }: Paths
): Problem[] {
  const problems: Problem[] = []
  for (const [name, path] of [
    ['state-dir', stateDir],
    ['report-file', reportFile]
  ] as const)
    if (/^[$~]/.test(path))
      problems.push([
        name,
        'expected a path; only $RUNNER_TOOL_CACHE and $RUNNER_TEMP are expanded at its start, ~ and other variables are not'
      ])
  if (stateDir !== '' && isWithin(stateDir, reportFile))
    problems.push([
      'report-file',
      `must not be the folder state-dir (${quote(texts['state-dir'])}) or one of its parents`
    ])
  return problems
}

function userState(env: NodeJS.ProcessEnv): string {
  const home = env['HOME'] || homedir()
  return (
    env['XDG_STATE_HOME'] || env['LOCALAPPDATA'] || join(home, '.local/state')
  )
}

/** Replaces the variable at the start of a path: `$NAME` or `${NAME}`. */
function expand(path: string, folders: Record<string, string>): string {
  return path.replace(
    /^\$(?:(\w+)|\{(\w+)\})(?=[/\\]|$)/,
    (text, name?: string, braced?: string) =>
      folders[name ?? braced ?? ''] ?? text
  )
}

/** Whether a path is that of a folder, or lies in it. */
function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path)
  return !/^\.\.(?:[\\/]|$)/.test(way) && !isAbsolute(way)
}
