import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect, type AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { createServer } from 'node:tls'
import { beforeAll, expect, test } from '@jest/globals'
import { generate } from 'selfsigned'
import {
  findOtherClis,
  makeDockerConfig,
  type OtherClis
} from '../harness/clis.ts'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { everything as all, oldImage, oldImages } from '../harness/things.ts'

const { docker, engine, create, load, step, contents, folder } = useEngine()
const everything = {
  ...all,
  'include-volumes': 'all',
  'include-build-cache': 'true'
}
let clis: OtherClis

beforeAll(async () => {
  clis = await findOtherClis()
})

const fill = () =>
  Promise.all([
    load([
      oldImage('app'),
      { ...oldImage('app', 2_000), references: ['app:2', 'mirror/app:2'] },
      { ...oldImage('labelled'), labels: { keep: '' } }
    ]),
    create('job', '--volume', '/data', 'busybox:1'),
    create('kept', '--label', 'keep', 'busybox:1'),
    docker('network', 'create', 'net'),
    docker('volume', 'create', 'named')
  ])

test.each([
  ['an old one', () => clis.old, undefined],
  ['a new one with buildx', () => clis.new, () => clis.buildx],
  ['a new one without any plugin', () => clis.new, undefined]
])('CLI: %s', async (_, findCli, findPlugin) => {
  await fill()
  const inputs = { ...everything, 'keep-last': '1' }
  const plugin = findPlugin?.()
  const env = {
    PATH: `${dirname(findCli())}:${process.env['PATH'] ?? ''}`,
    DOCKER_CONFIG: await makeDockerConfig(
      join(folder(), 'config'),
      plugin === undefined ? {} : { plugin }
    )
  }
  const decisions = async (more: Record<string, string>) => {
    const { report } = await step({ ...inputs, 'dry-run': 'true' }, more)
    return report?.resources.map(({ id, action, reason }) => [
      id,
      action,
      reason
    ])
  }
  const [withCli, withOwnCli] = await Promise.all([
    decisions(env),
    decisions({})
  ])
  expect(withCli).toEqual(withOwnCli)

  const done = await step(inputs, env)

  expect(done.exitCode).toBe(0)
  expect(done.outputs['failed']).toBe('0')
  expect(await contents()).toMatchObject({
    containers: ['kept'],
    networks: [],
    volumes: [],
    references: ['app:2', 'busybox:1', 'labelled:1', 'mirror/app:2']
  })
})

test('the step uses DOCKER_CONTEXT and the current context', async () => {
  await load(oldImages(1))
  const config = await makeDockerConfig(join(folder(), 'named'), {})
  const host = `host=${engine().host}`
  const context = ['context', 'create', 'lab', '--docker', host]
  await docker('--config', config, ...context)
  const lookAt = (env: Record<string, string>) =>
    step(
      { ...everything, 'dry-run': 'true' },
      { DOCKER_HOST: undefined, DOCKER_CONFIG: config, ...env }
    )

  const [named, wrong] = await Promise.all([
    lookAt({ DOCKER_CONTEXT: 'lab' }),
    lookAt({ DOCKER_CONTEXT: 'elsewhere' })
  ])
  expect(resource(named, 'app-0:1').outcome).toBe('planned')
  expect(named.outputs['free-bytes-before']).not.toBe('')
  expect(wrong.exitCode).toBe(1)
  expect(wrong.stdout).toMatch(/^::error::.*elsewhere/m)

  const current = JSON.stringify({ currentContext: 'lab' })
  await writeFile(join(config, 'config.json'), current)
  expect(resource(await lookAt({}), 'app-0:1').outcome).toBe('planned')
})

type Certificates = { authority: string; cert: string; key: string }

/** Creates a CA and certificates for both ends, and writes the client's files. */
async function makeCertificates(clientFolder: string): Promise<Certificates> {
  await makeDockerConfig(clientFolder, {})
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
  return { authority: authority.cert, cert, key }
}

async function serveTls({ authority, cert, key }: Certificates) {
  const options = { ca: authority, cert, key, requestCert: true }
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

test('an engine behind TLS is cleaned up; one that rejects the client certificate is unreachable', async () => {
  await load(oldImages(1))
  const known = join(folder(), 'known')
  const stranger = join(folder(), 'stranger')
  const { host, stop } = await serveTls(await makeCertificates(known))
  await makeCertificates(stranger)
  const stepAs = (path: string) =>
    step(everything, {
      DOCKER_HOST: host,
      DOCKER_TLS_VERIFY: '1',
      DOCKER_CERT_PATH: path
    })
  try {
    const [refused, done] = await Promise.all([stepAs(stranger), stepAs(known)])

    expect(refused.exitCode).toBe(1)
    expect(refused.stdout).toMatch(/^::error::Cannot reach a Docker engine/m)
    expect(done.exitCode).toBe(0)
    expect(resource(done, 'app-0:1').outcome).toBe('removed')
    // With a TCP address, the disk is unknown.
    expect(done.outputs['free-bytes-before']).toBe('')
    expect((await contents()).references).toEqual(['busybox:1'])
  } finally {
    stop()
  }
})
