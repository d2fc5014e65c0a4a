import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { podman } from '../harness/target.ts'
import { everything } from '../harness/things.ts'

const engine = useEngine()
const { docker, api, create, step, contents } = engine

const inUse = { action: 'keep', reason: 'in-use' }
/** Creates a container over the API, which has more options than the CLI. */
const make = (name: string, host: object) =>
  api().post(`/containers/create?name=${name}`, {
    ...{ Image: 'busybox:1', Labels: { keep: '' } },
    HostConfig: { NetworkMode: 'none', ...host }
  })

/** The ways for a container to refer to another. Podman has more namespaces, and no links. */
const toContainers: Record<string, (name: string) => object> = {
  network: (name) => ({ NetworkMode: `container:${name}` }),
  ipc: (name) => ({ IpcMode: `container:${name}` }),
  pid: (name) => ({ PidMode: `container:${name}` }),
  volumes: (name) => ({ VolumesFrom: [`${name}:ro`] }),
  ...(podman && { uts: (name: string) => ({ UTSMode: `container:${name}` }) })
}

test('a container is kept while a kept container refers to it', async () => {
  for (const [way, host] of Object.entries(toContainers)) {
    const ipc = way === 'ipc' ? ['--ipc', 'shareable'] : []
    await create(`base-${way}`, ...ipc, 'busybox:1', 'true')
    await make(`by-${way}`, host(`base-${way}`))
  }
  const ways = Object.keys(toContainers).map((way) => `base-${way}`)
  if (!podman) {
    await docker('network', 'create', 'net')
    const on = (name: string, ...args: string[]) =>
      docker('create', '--network', 'net', '--name', name, ...args, 'busybox:1')
    await on('base-link')
    await on('by-link', '--label', 'keep', '--link', 'base-link:alias')
    ways.push('base-link')
  }
  const base = await create('typed', 'busybox:1', 'true')
  await make('by-typed', { VolumesFrom: [base.trim().slice(0, 12)] })
  await create('lonely', 'busybox:1', 'true')

  const done = await step(everything)

  for (const name of [...ways, 'typed'])
    expect(resource(done, name)).toMatchObject(inUse)
  expect(resource(done, 'lonely').outcome).toBe('removed')
})

test('a volume is kept while another volume is inside it, or a container binds it by a non-canonical path', async () => {
  const withVolumes = { ...everything, 'include-volumes': 'all' }
  for (const name of ['base', 'linked', 'lonely'])
    await docker('volume', 'create', name)
  const [{ Mountpoint: folder }] = JSON.parse(
    await docker('volume', 'inspect', 'base')
  ) as [{ Mountpoint: string }]
  await docker(
    ...['volume', 'create', '--opt', 'type=none', '--opt', 'o=bind'],
    ...['--opt', `device=${folder}`, 'inside']
  )
  const path = folder.replace('/volumes/base/', '/../data/volumes/linked/')
  await make('by-link', { Binds: [`${path}:/data`] })

  const done = await step(withVolumes)

  // Named volumes are kept on Podman.
  if (podman) return
  for (const name of ['base', 'linked'])
    expect(resource(done, name)).toMatchObject(inUse)
  expect((await contents()).volumes).toEqual(['base', 'inside', 'linked'])
})
