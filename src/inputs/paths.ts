import { homedir } from 'node:os'
import { isAbsolute, join, relative } from 'node:path'

/** Puts in the folder that a path begins with, by its variable, as the defaults of action.yml have it. */
export function expand(path: string, folders: Record<string, string>): string {
  return path.replace(
    /^\$(?:(\w+)|\{(\w+)\})(?=[/\\]|$)/,
    (text, name?: string, braced?: string) =>
      folders[name ?? braced ?? ''] ?? text
  )
}

export function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path)
  return !/^\.\.(?:[\\/]|$)/.test(way) && !isAbsolute(way)
}

/** Where the user's programs keep what they remember. */
export function userState(env: Record<string, string | undefined>): string {
  const home = env['HOME'] || homedir()
  return (
    env['XDG_STATE_HOME'] || env['LOCALAPPDATA'] || join(home, '.local/state')
  )
}
