import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { unpackPackages } from './packages.ts'

/** A real registry on loopback, with its images in a folder that goes with it. */
export type Registry = { address: string; stop: () => Promise<void> }

/** Starts Debian's docker-registry on a free port of 127.0.0.1. Docker takes plain HTTP from there. */
export async function startRegistry(): Promise<Registry> {
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
  const child = spawn(
    `${root}/usr/bin/docker-registry`,
    ['serve', join(folder, 'config.yml')],
    {
      stdio: 'ignore'
    }
  )
  const ended = once(child, 'exit')
  const stop = async () => {
    child.kill()
    await ended
    await rm(folder, { recursive: true })
  }
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const answer = await fetch(`http://${address}/v2/`).catch(() => undefined)
    if (answer?.ok) return { address, stop }
    await sleep(100)
  }
  await stop()
  throw new Error('The registry did not start.')
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
