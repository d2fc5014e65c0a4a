import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import type { ThrowawayEngine } from './engine.ts'
import { unpackPackages } from './packages.ts'

/** A registry on loopback. Its images disappear with it. */
export type Registry = { address: string; stop: () => Promise<void> }

/** Starts Debian's docker-registry on a free port of the engine's 127.0.0.1, where Docker allows plain HTTP. */
export async function startRegistry({
  inNetwork
}: Pick<ThrowawayEngine, 'inNetwork'>): Promise<Registry> {
  const root = await unpackPackages(['docker-registry'])
  const folder = await mkdtemp(join(tmpdir(), 'registry-'))
  const address = `127.0.0.1:${await freePort()}`
  await writeFile(
    join(folder, 'config.yml'),
    JSON.stringify({
      version: 0.1,
      log: { level: 'error' },
      storage: { filesystem: { rootdirectory: join(folder, 'data') } },
      http: { addr: address }
    })
  )
  const [command, ...args] = [
    ...inNetwork,
    `${root}/usr/bin/docker-registry`,
    'serve',
    join(folder, 'config.yml')
  ]
  const child = spawn(command, args, { stdio: 'ignore' })
  const exited = once(child, 'exit')
  const stop = async () => {
    child.kill()
    await exited
    await rm(folder, { recursive: true })
  }
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if (await isListening(inNetwork, address)) return { address, stop }
    await sleep(100)
  }
  await stop()
  throw new Error('The registry did not start.')
}

/** Checks for a listener in the engine's network, in the kernel's list of sockets. */
async function isListening(
  inNetwork: readonly string[],
  address: string
): Promise<boolean> {
  const port = Number(address.split(':').at(-1)).toString(16).toUpperCase()
  const [command, ...args] = [...inNetwork, 'cat', '/proc/net/tcp']
  const { stdout } = await execa(command, args)
  return new RegExp(`:${port.padStart(4, '0')} 00000000:0000 0A `).test(stdout)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
