import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Keeps temporary files in a folder that is deleted when this process ends, including by Ctrl-C. */
export function useOwnFolder(): void {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  process.env['TMPDIR'] = folder
  const sudo = process.getuid?.() === 0 ? [] : ['sudo']
  process.on('exit', () => {
    const [command, ...args] = [...sudo, 'rm', '-rf', folder]
    execFileSync(command, args)
  })
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => process.exit(130))
}
