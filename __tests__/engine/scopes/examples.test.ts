import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { execa } from 'execa'
import { startGitHub } from '../../github.ts'
import { examples, inputsOf } from '../../workflows.ts'
import { seeingDiskOf, useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { oldImage, polite } from '../harness/things.ts'

// The example for jobs is tested in job.test.ts.
const tests = useEngine()
const { docker, engine, environment, folder, load, run, step, contents } = tests
const repository = 'acme/web'

/** Runs a container with an anonymous volume until it exits. */
async function runOld(): Promise<void> {
  const mount = ['--volume', '/scratch']
  await run('old', ...mount, 'busybox:1', 'true')
  await docker('wait', 'old')
}

/** Images of a repository; the first tag is the oldest. */
const builds = (name: string, tags: readonly string[]) =>
  tags.map((tag, index) => ({
    ...oldImage(`${name}:${tag}`),
    references: [`${name}:${tag}`],
    created: `2024-05-0${index + 1}T12:00:00Z`
  }))

test('the last step of a build', async () => {
  const [inputs] = await inputsOf('end-of-build.yml')
  await load([
    ...builds('acme/web', ['1', '2', '3']),
    ...builds('node', ['20', '22', '24']),
    ...builds('ghcr.io/acme/base/alpine', ['1', '2', '3'])
  ])
  const all = await contents()

  const done = await step({ ...inputs })
  expect(done.exitCode).toBe(0)
  expect(await contents()).toEqual(all)
  expect(resource(done, 'node:20').reason).toBe('protected-image')

  // Once everything is older.
  const later = await step({ ...inputs, until: '0s' })
  expect(later.exitCode).toBe(0)
  expect((await contents()).references).toEqual(
    all.references.filter((one) => one !== 'acme/web:1')
  )
})

test('a pull request is closed', async () => {
  const [inputs] = await inputsOf('pull-request-closed.yml')
  await load(builds('acme/web', ['main', 'pr-1', 'pr-12']))
  const project = ['--label', 'com.docker.compose.project=acme-web-pr-1']
  await docker('volume', 'create', ...project, 'data-1')
  const mount = ['--volume', 'data-1:/data']
  await run('preview-1', ...project, ...mount, 'busybox:1', ...polite)
  const payload = join(folder(), 'event.json')
  await writeFile(payload, JSON.stringify({ pull_request: { number: 1 } }))

  const done = await step(
    { ...inputs },
    {
      GITHUB_EVENT_NAME: 'pull_request',
      GITHUB_EVENT_PATH: payload,
      GITHUB_REPOSITORY: repository
    }
  )

  expect(done.exitCode).toBe(0)
  expect(await contents()).toMatchObject({
    containers: [],
    references: ['acme/web:main', 'acme/web:pr-12', 'busybox:1'],
    volumes: []
  })
})

test('the nightly job', async () => {
  const [closed, rest] = await inputsOf('nightly.yml')
  await load(builds('acme/web', ['main', 'pr-1', 'pr-2']))
  const token = 'ghs_0123456789'
  const github = await startGitHub({
    ...{ token, repository },
    pullRequests: new Map([
      [1, 'MERGED'],
      [2, 'OPEN']
    ])
  })
  try {
    const done = await step(
      { ...closed, 'github-token': token },
      {
        GITHUB_REPOSITORY: repository,
        GITHUB_GRAPHQL_URL: github.url
      }
    )
    expect(done.exitCode).toBe(0)
  } finally {
    await github.stop()
  }
  const left = ['acme/web:main', 'acme/web:pr-2', 'busybox:1']
  expect((await contents()).references).toEqual(left)

  await docker('volume', 'create', 'named')
  await runOld()
  const done = await step({ ...rest })
  expect(done.exitCode).toBe(0)
  expect((await contents()).containers).toEqual(['old'])
  // Once everything is older.
  const later = await step({ ...rest, until: '0s' })
  expect(later.exitCode).toBe(0)
  expect(await contents()).toMatchObject({
    containers: [],
    references: left,
    volumes: ['named']
  })
})

test('disk pressure, with enough free space', async () => {
  await runOld()
  for (const inputs of await inputsOf('disk-pressure.yml')) {
    const done = await step(inputs, {}, { above: seeingDiskOf(engine()) })
    expect(done.exitCode).toBe(0)
    expect(done.outputs).toMatchObject({ skipped: 'true' })
    expect(done.stdout).toContain('Nothing to do: enough space is free')
  }
  expect((await contents()).containers).toEqual(['old'])
})

/** Runs a hook of the runner. */
async function runHook(name: string, env: Record<string, string> = {}) {
  const [command = '', ...args] = [
    ...seeingDiskOf(engine()),
    ...['bash', '-e', join(examples, name)]
  ]
  const { stdout, exitCode } = await execa(command, args, {
    extendEnv: false,
    env: {
      ...(await environment()),
      DOCKER_RECLAIM_NODE: process.execPath,
      HOME: folder(),
      RUNNER_TEMP: folder(),
      ...env
    }
  })
  const file = join(folder(), 'docker-reclaim/report.json')
  const report = await readFile(file, 'utf8').catch(() => '')
  return { stdout, exitCode, report }
}

test('the hook before a job makes room only if the disk is low, and never fails the job', async () => {
  await runOld()
  const done = await runHook('job-started.sh')
  expect(done.exitCode).toBe(0)
  expect(done.stdout).toContain('Nothing to do: enough space is free')
  expect(done.stdout).not.toContain('::warning::')
  const dead = await runHook('job-started.sh', {
    DOCKER_HOST: `unix://${folder()}/none.sock`
  })
  expect(dead.exitCode).toBe(0)
  expect(dead.stdout).toContain('::warning::The clean-up before the job failed')
})

test('the hook after a job, which never fails the job', async () => {
  await runOld()
  const done = await runHook('job-completed.sh')
  expect(done.exitCode).toBe(0)
  expect(done.report).toMatch(/"name":\s*"old"/)
  expect((await contents()).containers).toEqual(['old'])
  expect(done.stdout).not.toContain('::warning::')

  const dead = await runHook('job-completed.sh', {
    DOCKER_HOST: `unix://${folder()}/none.sock`
  })
  expect(dead.exitCode).toBe(0)
  expect(dead.stdout).toContain('::warning::The clean-up after the job failed')
})
