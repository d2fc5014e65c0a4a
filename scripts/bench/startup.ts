import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { seriesTable } from './figures.ts'
import { scaled } from './loads.ts'
import type { Options } from './options.ts'
import { measureRounds } from './rounds.ts'

const bundle = join(import.meta.dirname, '../../dist/index.js')
const tries = 20
const node = '`node -e 0`, from start to end'

/** Measures the time until the bundle first calls docker, with a stand-in that records the time. */
export async function measureStart({
  rounds,
  scale
}: Options): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'start-'))
  try {
    const standIn = join(folder, 'docker')
    const stamps = join(folder, 'stamps')
    await writeFile(
      standIn,
      `#!/bin/sh\ndate +%s%N >>'${stamps}'\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n`,
      { mode: 0o755 }
    )
    const untilDocker = async (command: string, args: string[]) => {
      await rm(stamps, { force: true })
      const env = {
        ...{ PATH: process.env['PATH'], HOME: folder, RUNNER_TEMP: folder },
        ...{ INPUT_DOCKER: standIn, 'INPUT_STATE-DIR': folder }
      }
      const start = performance.timeOrigin + performance.now()
      await execa(command, args, { env, extendEnv: false, reject: false })
      const [first = ''] = (await readFile(stamps, 'utf8')).split('\n')
      return Number(first) / 1_000_000 - start
    }
    const contenders = [
      {
        name: 'the bundle until its first docker call',
        measure: () => untilDocker(process.execPath, [bundle])
      },
      {
        name: 'the stand-in docker alone',
        measure: () => untilDocker(standIn, [])
      },
      {
        name: node,
        measure: async () =>
          (await execa(process.execPath, ['-e', '0'])).durationMs
      }
    ]
    const number = Math.max(rounds, scaled(tries, scale))
    const series = await measureRounds(
      'start',
      contenders,
      { rounds: number, only: [] },
      async (order, measure) => {
        for (const contender of order) await measure(contender, undefined)
      }
    )
    return seriesTable(series, { of: `${number} runs`, base: node })
  } finally {
    await rm(folder, { recursive: true })
  }
}
