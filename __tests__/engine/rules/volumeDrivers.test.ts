import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { useOwnEngine } from '../harness/engine.ts'
import { startVolumePlugin } from '../harness/plugin.ts'
import { resource } from '../harness/report.ts'
import { everything } from '../harness/things.ts'

// A separate engine: with a dead volume driver, every listing of volumes takes 15 s.
const { docker, engine, step, contents } = useOwnEngine()

test('a volume with another driver or with driver options is kept', async () => {
  const folder = join(engine().folder, 'bind')
  await mkdir(folder, { recursive: true })
  await docker(
    'volume',
    'create',
    '--opt',
    'type=none',
    '--opt',
    'o=bind',
    '--opt',
    `device=${folder}`,
    'bind'
  )
  await docker(
    'volume',
    'create',
    '--opt',
    'type=tmpfs',
    '--opt',
    'device=tmpfs',
    'memory'
  )
  const plugin = await startVolumePlugin(
    join(engine().folder, 'plugins/elsewhere.sock')
  )
  try {
    await docker('volume', 'create', '--driver', 'elsewhere', 'remote')

    const done = await step({ ...everything, 'include-volumes': 'all' })

    expect((await contents()).volumes).toEqual(['bind', 'memory', 'remote'])
    expect(resource(done, 'remote').detail).toContain('volume driver elsewhere')
    await docker('volume', 'rm', 'remote')
  } finally {
    await plugin.stop()
  }
})
