import { join } from 'node:path'
import { expect } from '@jest/globals'
import { useOwnEngine } from '../harness/engine.ts'
import { startVolumePlugin } from '../harness/plugin.ts'
import { resource } from '../harness/report.ts'
import { onlyOnDocker } from '../harness/target.ts'
import { everything, oldImage } from '../harness/things.ts'

const { docker, engine, load, step, contents, folder } = useOwnEngine()

onlyOnDocker('volume plugins')(
  'a volume listing delayed by a dead plugin is awaited only if volumes may be removed, and is reported',
  async () => {
    const path = join(engine().folder, 'plugins/elsewhere.sock')
    const plugin = await startVolumePlugin(path)
    await docker('volume', 'create', '--driver', 'elsewhere', 'remote')
    await docker('volume', 'rm', 'remote')
    await docker('volume', 'create', 'data')
    await load([oldImage('app')])
    const inputs = { ...everything, 'state-dir': folder() }
    await step({ ...inputs, 'dry-run': 'true' })
    // From now on every listing of volumes takes 15 s.
    await plugin.stop()

    const done = await step(inputs)

    expect(done.exitCode).toBe(0)
    expect(resource(done, 'app:1').outcome).toBe('removed')
    const warnings = done.stdout.match(
      /^::warning::Volumes are missing from this report.*$/gm
    )
    expect(warnings).toHaveLength(1)
    expect(done.summary).toContain('docker volume ls took longer than 5 s')

    const all = { ...inputs, 'include-volumes': 'all' }
    const waiting = await step({ ...all, until: '1s' })
    expect(waiting.stdout).toMatch(
      /^… 10 s: still waiting for .*docker volume ls \(\d+ s\)/m
    )
    // The ledger still has its entry.
    expect(resource(waiting, 'data').detail).not.toContain('last use')
    expect((await contents()).volumes).toContain('data')
  }
)
