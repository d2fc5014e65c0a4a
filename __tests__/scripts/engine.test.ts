import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { execa } from 'execa'
import { exists } from '../../scripts/engines/packages.ts'

const scripts = join(import.meta.dirname, '../../scripts')

const program = `
  import { startEngine } from ${JSON.stringify(join(scripts, 'engines/engine.ts'))}
  import { createCli, importBusybox } from ${JSON.stringify(join(scripts, 'fixtures/fixtures.ts'))}
  const engine = await startEngine()
  await importBusybox(engine)
  await createCli(engine)('run', '--detach', '--network', 'none', 'busybox:1', 'sleep', '600')
  console.log(engine.folder)
  setInterval(() => {}, 1_000)
`

async function findTraces(folder: string): Promise<string[]> {
  const processes = (await readdir('/proc')).filter((name) =>
    /^\d+$/.test(name)
  )
  const commands = await Promise.all(
    processes.map((pid) =>
      readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    )
  )
  const mounts = await readFile('/proc/mounts', 'utf8')
  return [
    ...((await exists(folder)) ? [folder] : []),
    ...mounts.split('\n').filter((line) => line.includes(folder)),
    ...commands.filter((command) => command.includes(folder))
  ]
}

test.each(['SIGINT', 'SIGKILL'] as const)(
  'nothing is left of an engine whose parent received %s',
  async (signal) => {
    const starter = execa(
      process.execPath,
      ['--input-type=module', '--eval', program],
      { reject: false }
    )
    const [output] = (await once(starter.stdout, 'data')) as [Buffer]
    const folder = output.toString().trim()
    expect(await findTraces(folder)).not.toEqual([])
    starter.kill(signal)
    await starter
    for (
      let attempt = 0;
      attempt < 100 && (await findTraces(folder)).length > 0;
      attempt += 1
    )
      await sleep(100)
    expect(await findTraces(folder)).toEqual([])
  }
)

test('if no engine can be started, the message says what is required', async () => {
  const { exitCode, stderr } = await execa(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      program.replace(
        'await startEngine()',
        "await startEngine({ path: '/nowhere' })"
      )
    ],
    { reject: false }
  )
  expect(exitCode).toBe(1)
  expect(stderr).toContain(
    'either dockerd, containerd and runc on PATH, or Debian or Ubuntu with apt'
  )
})
