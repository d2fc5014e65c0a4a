import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { afterEach, expect, test } from '@jest/globals'
import {
  faults,
  startGitHub,
  type GitHub,
  type GitHubFacts
} from '../../github.ts'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { oldImage } from '../harness/things.ts'

const { docker, load, step, contents } = useEngine()
const token = 'ghs_0123456789abcdef'
const repository = 'acme/web'

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

async function github(facts: Partial<GitHubFacts> = {}): Promise<GitHub> {
  const server = await startGitHub({
    ...{ token, repository, pullRequests: new Map(), ...facts }
  })
  stops.push(server.stop)
  return server
}

const runNightly = (
  url: string,
  inputs: Record<string, string> = {},
  env: Record<string, string> = {}
) =>
  step(
    { scope: 'closed-pull-requests', 'github-token': token, ...inputs },
    {
      GITHUB_REPOSITORY: repository,
      GITHUB_GRAPHQL_URL: url,
      GITHUB_API_URL: url.replace(/\/graphql$/, ''),
      ...env
    }
  )

const referenceOf = (number: number) => `${repository}:pr-${number}`

const imagesOf = (...numbers: number[]) =>
  numbers.map((number) => ({
    ...oldImage(`web-${number}`),
    references: [referenceOf(number)]
  }))

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)

test('resources of closed and merged pull requests are removed; those of open, unknown or other ones are kept', async () => {
  await load([
    ...imagesOf(1, 2, 3, 4),
    { ...oldImage('api'), references: ['acme/api:pr-1', 'acme/api:pr-5'] },
    { ...oldImage('both'), references: ['acme/web:pr-1-a', 'acme/web:pr-3-a'] }
  ])
  const project = ['--label', 'com.docker.compose.project=acme-web-pr-6']
  await docker('network', 'create', ...project, 'net')
  const server = await github({
    pullRequests: new Map([
      [1, 'CLOSED'],
      [2, 'MERGED'],
      [3, 'OPEN'],
      [6, 'CLOSED']
    ])
  })

  const done = await runNightly(server.url)

  expect(done.exitCode).toBe(0)
  expect(await contents()).toMatchObject({
    networks: expect.not.arrayContaining(['net']),
    references: [
      'acme/api:pr-1',
      'acme/api:pr-5',
      'acme/web:pr-3',
      'acme/web:pr-3-a',
      'acme/web:pr-4',
      'busybox:1'
    ]
  })
  for (const [name, reason] of [
    ['acme/web:pr-1', 'pull-request'],
    ['acme/web:pr-2', 'pull-request'],
    ['acme/web:pr-3', 'pull-request-open'],
    ['acme/web:pr-4', 'pull-request-unknown'],
    ['acme/api:pr-1', 'out-of-scope']
  ] as const)
    expect(resource(done, name).reason).toBe(reason)
  expect(resource(done, 'acme/web:pr-3-a')).toMatchObject({
    outcome: 'untagged',
    removedReferences: ['acme/web:pr-1-a']
  })
  expect(server.queries.map(({ numbers }) => numbers)).toEqual([
    [1, 2, 3, 4, 6]
  ])
  expect(done.stdout).toContain('closed: 1, 2, 6')
  expect(done.summary).toMatch(
    /^## Reclaimed .* from closed pull requests of acme\/web \(5 checked\) in /
  )
  const all = [done.stdout, done.stderr, done.summary, done.report]
  expect(JSON.stringify(all)).not.toContain(token)
})

test('without pull request numbers on the engine, GitHub is not queried', async () => {
  await load([{ ...oldImage('api'), references: ['acme/api:pr-1'] }])
  const server = await github()
  const done = await runNightly(server.url)
  expect(done.exitCode).toBe(0)
  expect(done.outputs['skipped']).toBe('true')
  expect(server.queries).toEqual([])
})

test('without permission nothing is removed, and one error names the permission', async () => {
  await load(imagesOf(1))
  const pullRequests = new Map([[1, 'CLOSED']] as const)
  for (const facts of [{ fault: () => faults.forbidden }, { token: 'other' }]) {
    const server = await github({ pullRequests, ...facts })
    const done = await runNightly(server.url)
    expect(done.exitCode).toBe(1)
    expect(done.stdout.match(/^::error::.*/gm)).toEqual([
      expect.stringContaining('pull-requests: read')
    ])
    expect(done.summary).toMatch(/^## Nothing was removed/)
    expect(done.summary).toContain('pull-requests: read')
    expect(done.processesLeft).toEqual([])
    expect((await contents()).references).toEqual([
      'acme/web:pr-1',
      'busybox:1'
    ])
  }
})

test('205 numbers need three queries, and resources of a failed query are kept', async () => {
  const open = range(1, 100)
  const unknown = range(101, 200)
  const merged = range(201, 205)
  await load([
    { ...oldImage('open'), references: open.map(referenceOf) },
    { ...oldImage('unknown'), references: unknown.map(referenceOf) },
    ...imagesOf(...merged)
  ])
  const server = await github({
    pullRequests: new Map([
      ...open.map((number) => [number, 'OPEN'] as const),
      ...[...unknown, ...merged].map((number) => [number, 'MERGED'] as const)
    ]),
    fault: (some) => (some[0] === 101 ? faults.noData : undefined)
  })

  const done = await runNightly(server.url)

  expect(done.exitCode).toBe(0)
  expect(server.queries.map(({ numbers }) => numbers)).toEqual(
    expect.arrayContaining([open, unknown, merged])
  )
  expect(server.queries).toHaveLength(3)
  expect((await contents()).references).toEqual(
    [...[...open, ...unknown].map(referenceOf), 'busybox:1'].sort()
  )
  expect(done.outputs['removed-images']).toBe('5')
  expect(resource(done, 'acme/web:pr-50').reason).toBe('pull-request-open')
  expect(resource(done, 'acme/web:pr-150').reason).toBe('pull-request-unknown')
  const problem =
    'GitHub did not report the state of pull request 101 and 99 more'
  expect(done.stdout).toContain(`::warning::${problem}`)
  expect(done.summary).toContain(problem)
})

test('GitHub Enterprise behind a proxy', async () => {
  await load(imagesOf(7))
  const server = await github({ pullRequests: new Map([[7, 'CLOSED']]) })
  const proxied: string[] = []
  const proxy = createServer().on('connect', ({ url = '' }, client) => {
    proxied.push(url)
    const { port } = new URL(server.url)
    const upstream = connect(Number(port), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      upstream.pipe(client).pipe(upstream)
    })
    for (const end of [client, upstream])
      end.on('error', () => upstream.destroy())
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
  const address = proxy.address()
  const port = typeof address === 'object' ? address?.port : undefined
  try {
    const done = await runNightly(
      'http://github.test/api/graphql',
      {},
      {
        GITHUB_API_URL: 'http://github.test/api/v3',
        http_proxy: `http://127.0.0.1:${port}`
      }
    )
    expect(done.exitCode).toBe(0)
    expect(resource(done, 'acme/web:pr-7').outcome).toBe('removed')
    expect(proxied).toEqual(['github.test:80'])
    expect(server.queries.map(({ path }) => path)).toEqual(['/api/graphql'])
  } finally {
    proxy.close()
  }
})

test('if the timeout is reached during the query to GitHub, resources of pull requests are kept', async () => {
  await load(imagesOf(1))
  const server = await github({ fault: () => 'hang' })
  const done = await runNightly(server.url, { timeout: '5s' })
  expect((await contents()).references).toEqual(['acme/web:pr-1', 'busybox:1'])
  expect(resource(done, 'acme/web:pr-1').reason).toBe('pull-request-unknown')
  expect(done.stdout).toContain('the time was up')
  expect(done.processesLeft).toEqual([])
})
