import { createServer } from 'node:http'

/** Starts a volume plugin that speaks Docker's protocol, JSON over HTTP, on a socket. */
export async function startVolumePlugin(socket: string) {
  const volumes = new Set<string>()
  const answers: Record<string, (name: string) => object> = {
    '/Plugin.Activate': () => ({ Implements: ['VolumeDriver'] }),
    '/VolumeDriver.Create': (name) => (volumes.add(name), {}),
    '/VolumeDriver.Remove': (name) => (volumes.delete(name), {}),
    '/VolumeDriver.Get': (name) =>
      volumes.has(name)
        ? { Volume: { Name: name, Mountpoint: '' } }
        : { Err: 'no such volume' },
    '/VolumeDriver.List': () => ({
      Volumes: [...volumes].map((name) => ({ Name: name }))
    }),
    '/VolumeDriver.Capabilities': () => ({ Capabilities: { Scope: 'local' } })
  }
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const { Name = '' } = JSON.parse(body || '{}') as { Name?: string }
      response.end(JSON.stringify(answers[request.url ?? '']?.(Name) ?? {}))
    })
  })
  await new Promise<void>((ready) => server.listen(socket, ready))
  return {
    stop: () =>
      new Promise((done) => {
        server.closeAllConnections()
        server.close(done)
      })
  }
}
