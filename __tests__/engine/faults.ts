import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect } from '@jest/globals'
import { exists } from '../../scripts/packages.ts'
import type { Step } from '../../scripts/step.ts'
import { dockerWith, oldImage, useEngine, type TestEngine } from './harness.ts'

// For the tests of what breaks under the step: the engine, the CLI, the disk, the runner's files.

export const everything = {
  'keep-last': '0',
  until: '0s',
  'protected-images': 'busybox',
  'include-build-cache': 'false'
}

/** An engine with a small disk, and a docker that breaks when it is told to. */
export type Faults = TestEngine & {
  /** For the files of one test. */
  folder: () => string
  /** See `dockerWith`. */
  dockerThat: (hooks: string) => Promise<string>
  /** Waits until that docker has come to its `pause`. */
  untilPaused: () => Promise<void>
  go: () => Promise<void>
}

export function useFaults(): Faults {
  const engine = useEngine({ dataSize: '96m' })
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'faults-'))
  })
  afterEach(async () => {
    await chmod(folder, 0o755)
    await rm(folder, { recursive: true })
  })
  return {
    ...engine,
    folder: () => folder,
    dockerThat: (hooks) => dockerWith(engine.engine(), folder, hooks),
    untilPaused: async () => {
      for (let attempt = 0; attempt < 600; attempt += 1) {
        if (await exists(join(folder, 'paused'))) return
        await sleep(50)
      }
      throw new Error('the step did not come that far')
    },
    go: () => writeFile(join(folder, 'go'), '')
  }
}

export const images = (count: number) =>
  Array.from({ length: count }, (_, index) => oldImage(`app-${index}`))

/** How many resources of a report ended in some way. */
export function outcomes({ report }: Step): Record<string, number> {
  const planned = report?.resources.filter(({ action }) => action !== 'keep')
  const counted = Map.groupBy(planned ?? [], ({ outcome }) => outcome)
  return Object.fromEntries(
    [...counted].map(([outcome, { length }]) => [outcome, length])
  )
}

/** What every step that fails leaves: an error in the log, the summary, no stack trace and no process. */
export function expectCleanFailure(done: Step, message: RegExp): void {
  expect(done.exitCode).toBe(1)
  expect(done.stdout).toMatch(/^::error::/m)
  expect(done.stdout).toMatch(message)
  expect(done.summary).toMatch(message)
  expect(done.stdout).not.toMatch(/^\s+at .+:\d+:\d+/m)
  expect(done.processesLeft).toEqual([])
}
