import { Agent, request } from 'node:http'
import { text } from 'node:stream/consumers'

/** An engine's API over its socket. Unlike the CLI, it starts no process. Rejects with the engine's message. */
export type Api = {
  get: <T>(path: string) => Promise<T>
  post: (path: string, body?: Buffer | object) => Promise<string>
  remove: (path: string) => Promise<string>
  close: () => void
}

/** @param host a Unix socket as in DOCKER_HOST */
export function createApi(host: string): Api {
  const socketPath = host.replace('unix://', '')
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })

  async function call(
    method: string,
    path: string,
    body?: Buffer | object
  ): Promise<string> {
    const isArchive = Buffer.isBuffer(body)
    const headers = {
      'Content-Type': isArchive ? 'application/x-tar' : 'application/json'
    }
    return new Promise((resolve, reject) => {
      const options = { socketPath, agent, method, path, headers }
      const sent = request(options, (response) => {
        text(response).then((answer) => {
          // A streamed answer starts with status 200 and reports its error at the end.
          if ((response.statusCode ?? 500) < 400 && !/"error"/.test(answer))
            resolve(answer)
          else reject(new Error(`${method} ${path}: ${answer}`))
        }, reject)
      }).on('error', reject)
      sent.end(isArchive || body === undefined ? body : JSON.stringify(body))
    })
  }

  return {
    get: async <T>(path: string) => JSON.parse(await call('GET', path)) as T,
    post: (path, body) => call('POST', path, body),
    remove: (path) => call('DELETE', path),
    close: () => {
      agent.destroy()
    }
  }
}
