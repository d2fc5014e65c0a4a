import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createServer } from 'node:tls'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { generate } from 'selfsigned'
import {
  findOtherClis,
  makeDockerConfig,
  oldImage,
  resource,
  useEngine,
  type OtherClis
} from './harness.ts'

const { docker, engine, load, step, contents } = useEngine()
const everything = {
  'keep-last': '1',
  until: '0s',
  'include-volumes': 'all',
  'protected-images': 'busybox',
  'protected-labels': 'keep'
}
let folder: string
let clis: OtherClis

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-'))
  clis = await findOtherClis()
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

/** Starts the TLS end of the engine; writes the files of a client that it knows, and returns its address. */
async function serveTls(clientFolder: string) {
  const named = (value: string) => [{ name: 'commonName', value }]
  const authority = await generate(named('authority'), {
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true }
    ]
  })
  const { cert, private: key } = await generate(named('127.0.0.1'), {
    algorithm: 'sha256',
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }
    ]
  })
  const files = { 'ca.pem': authority.cert, 'cert.pem': cert, 'key.pem': key }
  for (const [file, text] of Object.entries(files))
    await writeFile(join(clientFolder, file), text)

  const options = { ca: authority.cert, cert, key, requestCert: true }
  const server = createServer(options, (client) => {
    const socket = connect(engine().host.replace('unix://', ''))
    client.pipe(socket).pipe(client)
    for (const end of [client, socket]) end.on('error', () => end.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { host: `tcp://127.0.0.1:${port}`, stop: () => server.close() }
}

/** A bit of every kind, half of which stays. */
async function fill(): Promise<void> {
  await load([
    oldImage('app'),
    { ...oldImage('app', 2_000), references: ['app:2', 'mirror/app:2'] },
    { ...oldImage('labelled'), labels: { keep: '' } }
  ])
  await docker('create', '--name', 'job', '--volume', '/data', 'busybox:1')
  await docker('create', '--name', 'kept', '--label', 'keep', 'busybox:1')
  await docker('network', 'create', 'net')
  await docker('volume', 'create', 'named')
}

const left = {
  containers: ['kept'],
  networks: [],
  volumes: [],
  references: ['busybox:1', 'labelled:1']
}

test.each([
  ['an old one', () => dirname(clis.old), undefined],
  ['a new one with buildx', () => dirname(clis.new), () => clis.buildx],
  ['a new one without any plugin', () => dirname(clis.new), undefined]
])('the CLI: %s', async (name, findPath, findPlugin) => {
  await fill()
  const plugin = findPlugin?.()
  const env = {
    PATH: `${findPath()}:${process.env['PATH'] ?? ''}`,
    DOCKER_CONFIG: await makeDockerConfig(
      join(folder, name.replaceAll(' ', '-')),
      plugin === undefined ? {} : { plugin }
    )
  }
  const decisions = async (more: Record<string, string>) => {
    const { report } = await step({ ...everything, 'dry-run': 'true' }, more)
    return report?.resources.map(({ id, action, reason }) => [
      id,
      action,
      reason
    ])
  }
  expect(await decisions(env)).toEqual(await decisions({}))

  const done = await step(everything, env)

  expect(done.exitCode).toBe(0)
  expect(done.outputs['failed']).toBe('0')
  expect(await contents()).toMatchObject({
    ...left,
    references: [...left.references, 'app:2', 'mirror/app:2'].sort()
  })
})

test('DOCKER_CONTEXT, and the context that is in use, are where the step looks', async () => {
  const config = await makeDockerConfig(join(folder, 'contexts'), {})
  const host = `host=${engine().host}`
  const cli = (...args: string[]) => docker('--config', config, ...args)
  await cli('context', 'create', 'lab', '--docker', host)
  const env = { DOCKER_HOST: undefined, DOCKER_CONFIG: config }
  await load([oldImage('app'), oldImage('other')])
  const inputs = { ...everything, 'keep-last': '0', 'dry-run': 'true' }

  const named = await step(inputs, { ...env, DOCKER_CONTEXT: 'lab' })
  expect(resource(named, 'app:1').outcome).toBe('planned')
  expect(named.outputs['free-bytes-before']).not.toBe('')

  await writeFile(
    join(config, 'config.json'),
    JSON.stringify({ currentContext: 'lab' })
  )
  const current = await step(inputs, env)
  expect(resource(current, 'app:1').outcome).toBe('planned')

  const wrong = await step(inputs, { ...env, DOCKER_CONTEXT: 'elsewhere' })
  expect(wrong.exitCode).toBe(1)
  expect(wrong.stdout).toMatch(/^::error::.*elsewhere/m)
})

test('an engine behind TLS is cleaned up, and one that does not know the client is not there', async () => {
  await load([oldImage('app')])
  const [known, stranger] = await Promise.all(
    ['known', 'stranger'].map((name) =>
      makeDockerConfig(join(folder, name), {})
    )
  )
  const { host, stop } = await serveTls(known ?? '')
  await serveTls(stranger ?? '').then((other) => other.stop())
  const stepAs = (path = '') =>
    step(
      { ...everything, 'keep-last': '0' },
      { DOCKER_HOST: host, DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: path }
    )
  try {
    const refused = await stepAs(stranger)
    expect(refused.exitCode).toBe(1)
    expect(refused.stdout).toMatch(/^::error::No Docker engine answers/m)

    const done = await stepAs(known)

    expect(done.exitCode).toBe(0)
    expect(resource(done, 'app:1').outcome).toBe('removed')
    // Whose disk that is, an address does not tell.
    expect(done.outputs['free-bytes-before']).toBe('')
    expect((await contents()).references).toEqual(['busybox:1'])
  } finally {
    stop()
  }
})
