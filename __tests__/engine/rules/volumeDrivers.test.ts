import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { useOwnEngine } from '../harness/engine.ts'
import { startVolumePlugin } from '../harness/plugin.ts'
import { resource } from '../harness/report.ts'
import { everything } from '../harness/things.ts'

// An engine waits 15 s at every listing of volumes for a driver that has ended: no other file gets this one.
const { docker, engine, step, contents } = useOwnEngine()

test('a volume of another driver, or with driver options, stays', async () => {
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
    expect(resource(done, 'remote').detail).toContain('elsewhere')
    await docker('volume', 'rm', 'remote')
  } finally {
    await plugin.stop()
  }
})
