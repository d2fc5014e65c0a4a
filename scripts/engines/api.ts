import { Agent, request } from 'node:http'
import { text } from 'node:stream/consumers'

/** Calls an engine's API on its socket, which costs no process. Throws an Error with the engine's words. */
export type Api = {
  get: <T>(path: string) => Promise<T>
  post: (path: string, body?: Buffer | object) => Promise<string>
  remove: (path: string) => Promise<string>
  close: () => void
}

/** @param host a Unix socket as DOCKER_HOST names it */
export function createApi(host: string): Api {
  const socketPath = host.replace('unix://', '')
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })

  async function call(
    method: string,
    path: string,
    body?: Buffer | object
  ): Promise<string> {
    const archive = Buffer.isBuffer(body)
    const headers = {
      'Content-Type': archive ? 'application/x-tar' : 'application/json'
    }
    return new Promise((done, fail) => {
      const options = { socketPath, agent, method, path, headers }
      const sent = request(options, (response) => {
        text(response).then((answer) => {
          // Answers that come as a stream begin with 200, and end with what went wrong.
          if ((response.statusCode ?? 500) < 400 && !/"error"/.test(answer))
            done(answer)
          else fail(new Error(`${method} ${path}: ${answer}`))
        }, fail)
      }).on('error', fail)
      sent.end(archive || body === undefined ? body : JSON.stringify(body))
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
