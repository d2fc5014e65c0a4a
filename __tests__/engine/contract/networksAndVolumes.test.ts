import { expect } from '@jest/globals'
import { readRefusal } from '../../../src/removal/refusal.ts'
import { useEngine } from '../harness/engine.ts'
import { podman } from '../harness/target.ts'
import { createFacts, failing, inspectOne, printing } from './fact.ts'

const tests = useEngine()
const { docker: real, create, contents } = tests
const fact = createFacts(tests)

const changed = { outcome: 'kept', reason: 'changed' }

/** Creates a container per state, each on a network of the same name; returns the network IDs. */
async function useNetworks(): Promise<Record<string, string>> {
  const ids: Record<string, string> = {}
  for (const name of ['created', 'exited', 'running']) {
    ids[name] = await real('network', 'create', name)
    const command = name === 'exited' ? ['true'] : ['sleep', '600']
    await real(
      ...['create', '--name', name, '--network', name, 'busybox:1'],
      ...command
    )
  }
  await real('start', 'exited', 'running')
  await real('wait', 'exited')
  return ids
}

type Container = {
  NetworkSettings: { Networks: Record<string, { NetworkID: string }> }
}
type Network = { Id: string; Containers?: Record<string, object> }

fact(
  'F12',
  'a container lists its networks by name; their IDs are missing before its first start',
  printing(
    'container inspect',
    's/"created": {/"others": {/; s/"NetworkID": "[^"]*"/"NetworkID": "0"/'
  ),
  async ({ docker, major }) => {
    const ids = await useNetworks()
    for (const [name, id] of Object.entries(ids)) {
      const { NetworkSettings } = await inspectOne<Container>(
        docker,
        'container',
        name
      )
      expect(NetworkSettings.Networks).toMatchObject({ [name]: {} })
      const { NetworkID } = NetworkSettings.Networks[name] ?? {}
      // Podman 4 prints the name instead.
      if (podman) expect(NetworkID).toBe(major < 5 ? name : id)
      else expect(NetworkID).toBe(name === 'created' ? '' : id)
    }
    const { Containers } = await inspectOne<Network>(
      docker,
      'network',
      'running'
    )
    expect(Object.keys(Containers ?? {})).toHaveLength(1)
    // Podman 4 also lists stopped containers.
    if (podman) return
    for (const name of ['created', 'exited']) {
      const network = await inspectOne<Network>(docker, 'network', name)
      expect(network.Containers).toEqual({})
    }
  }
)

fact(
  'F10, F22',
  'a network can be removed by ID even if a stopped container needs it; Podman refuses only by name',
  failing('network rm', 'something else'),
  async ({ answer }) => {
    const ids = await useNetworks()
    const refused = podman ? Object.keys(ids) : [ids['running'] ?? '']
    for (const one of refused) {
      const output = await answer('network', 'rm', '--', one)
      expect(output.exitCode).toBe(1)
      expect(readRefusal(output, 'network rm')).toMatchObject(changed)
    }
    ids['unused'] = await real('network', 'create', 'unused')
    for (const name of ['created', 'exited', 'unused'])
      expect(
        await answer('network', 'rm', '--', ids[name] ?? '')
      ).toMatchObject({ exitCode: 0, stdout: ids[name] })
    expect((await contents()).networks).toEqual(
      podman ? ['podman', 'running'] : ['running']
    )
  }
)

fact(
  'F10',
  'a volume in use cannot be removed; any other is removed by name',
  failing('volume rm', 'something else'),
  async ({ answer }) => {
    await create('user', '--volume', 'used:/data', 'busybox:1', 'true')
    await real('volume', 'create', 'unused')
    const output = await answer('volume', 'rm', '--', 'used')
    expect(output.exitCode).toBe(1)
    expect(readRefusal(output, 'volume rm')).toMatchObject(changed)
    expect(await answer('volume', 'rm', '--', 'unused')).toMatchObject({
      exitCode: 0,
      stdout: 'unused'
    })
    expect((await contents()).volumes).toEqual(['used'])
  }
)

type Volume = {
  Name: string
  Driver: string
  Labels: Record<string, string> | null
  Options: Record<string, string> | null
}
type Mounted = { Mounts: { Type: string; Name: string; Source: string }[] }

fact(
  'F21',
  'an anonymous volume has a name of 64 hex digits, and from Docker 23 on a label',
  printing(
    'volume inspect',
    's/volume.anonymous/volume.named/; s/"Name": "[0-9a-f]*"/"Name": "data"/'
  ),
  async ({ docker, major }) => {
    await create('user', '--volume', '/data', 'busybox:1', 'true')
    await real('volume', 'create', 'named')
    const { Mounts } = await inspectOne<Mounted>(docker, 'container', 'user')
    const [mount] = Mounts
    expect(mount?.Type).toBe('volume')

    const volume = await inspectOne<Volume & { Mountpoint: string }>(
      docker,
      'volume',
      mount?.Name ?? ''
    )
    expect(volume.Name).toMatch(/^[0-9a-f]{64}$/)
    expect(volume.Driver).toBe('local')
    expect(volume.Mountpoint).toBe(mount?.Source)
    const labelled = !podman && major >= 23
    expect(Object.keys(volume.Labels ?? {})).toEqual(
      labelled ? ['com.docker.volume.anonymous'] : []
    )
    const named = await inspectOne<Volume>(real, 'volume', 'named')
    expect(named.Labels ?? {}).toEqual({})
    expect(named.Options ?? {}).toEqual({})
  }
)
