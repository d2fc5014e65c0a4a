import { ChildProcess } from 'node:child_process'
import { subscribe } from 'node:diagnostics_channel'
import * as core from '@actions/core'
import packageFile from '../package.json' with { type: 'json' }
import { run } from './run.ts'
import { endingOf } from './run/ending.ts'
import {
  environment,
  finish,
  getInput,
  log,
  saveState,
  show,
  warnOfState
} from './run/runner.ts'

// A closed pipe (`| head`) or a full disk must not end the run half done.
process.stdout.on('error', () => undefined)

/** Every process started: `exec` does not return its own. */
const children: ChildProcess[] = []
subscribe('child_process', (message) => {
  if (typeof message !== 'object' || message === null) return
  if ('process' in message && message.process instanceof ChildProcess)
    children.push(message.process)
})

/** Runs as main, or as the post step with the state that main has saved. */
async function main(): Promise<void> {
  const snapshotFile = core.getState('snapshot')
  // Only scope job has something left to do.
  if (core.getState('main') !== '' && snapshotFile === '') return
  // Outside a workflow there is no post step, and core would print an obsolete command.
  const save = process.env['GITHUB_STATE'] ? saveState : undefined
  try {
    const full = save?.('main', 'begun')
    await finish(
      await run({
        version: packageFile.version,
        getInput,
        env: environment,
        log,
        show,
        signal: cancellation(),
        saveState: save,
        snapshotFile: snapshotFile || undefined
      })
    )
    // There may be room now.
    const problem = full && save?.('main', 'begun')
    if (problem) warnOfState(problem)
  } catch (error) {
    await finish(endingOf(error))
  }
}

/** Aborts on the signals that the runner sends when a job is cancelled. */
function cancellation(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      controller.abort()
    })
  return controller.signal
}

/** Kills a `docker --version` that hangs: it has no time limit, and some CLIs ask the engine for their own version. */
function endHangingVersion(): void {
  for (const child of children)
    if (child.exitCode === null && child.spawnargs.at(-1) === '--version')
      child.kill('SIGKILL')
  setTimeout(() => process.exit(), 2_000).unref()
}

await main()
endHangingVersion()
