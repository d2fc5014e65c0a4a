import { rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect } from '@jest/globals'
import { execa } from 'execa'
import { useOwnEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { containerd, onlyOnDocker, root } from '../harness/target.ts'
import { everything, idOf, oldImage } from '../harness/things.ts'

const tests = useOwnEngine()
const { docker, engine, load, step, contents } = tests
const it = onlyOnDocker('image store that can be damaged this way')

/** Deletes a part of an image that inspect needs. */
async function damage(name: string): Promise<void> {
  const id = await idOf(docker, name)
  if (containerd) {
    const socket = join(engine().folder, 'containerd.sock')
    const ctr = (...args: string[]) =>
      execa(`${root ?? ''}/usr/bin/ctr`, [
        ...['--address', socket, '--namespace', 'moby', 'content', ...args]
      ])
    const { stdout } = await ctr('get', id)
    const { manifests, layers } = JSON.parse(stdout) as Manifest
    const [manifest] = manifests ?? []
    const inner = manifest && (await ctr('get', manifest.digest)).stdout
    const [layer] =
      layers ?? (JSON.parse(inner ?? '{}') as Manifest).layers ?? []
    await ctr('rm', layer?.digest ?? '')
    return
  }
  const image = await docker('image', 'inspect', name)
  const [{ GraphDriver }] = JSON.parse(image) as [Stored]
  const folder = dirname(GraphDriver.Data.UpperDir)
  // The engine's disk is mounted in a separate mount namespace.
  const seen = join('/proc', String(engine().pid), 'root', folder)
  await rename(seen, `${seen}-gone`)
}

type Stored = { GraphDriver: { Data: { UpperDir: string } } }
type Manifest = {
  manifests?: { digest: string }[]
  layers?: { digest: string }[]
}

it('an image that cannot be inspected is kept, and reported with the command to remove it', async () => {
  await load([
    { ...oldImage('damaged'), labels: { keep: '' } },
    oldImage('other')
  ])
  await damage('damaged:1')

  const done = await step(everything)

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'damaged:1')).toMatchObject({
    action: 'keep',
    reason: 'unreadable',
    references: ['damaged:1'],
    detail: 'cannot be inspected; to remove: docker image rm damaged:1'
  })
  expect(resource(done, 'other:1').outcome).toBe('removed')
  expect((await contents()).references).toContain('damaged:1')
  expect(done.summary).toContain('damaged:1')

  const next = await step(everything)
  expect(next.summary).toMatch(/Nothing to do: .* 1 could not be inspected\./)
})
