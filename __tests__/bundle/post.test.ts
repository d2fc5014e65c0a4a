import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { runJob, runStep } from '../../scripts/engines/step.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'post-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

const nothing = () => Promise.resolve()
const noDocker = { docker: '/no/docker' }

test.each([
  'engine',
  'pull-request',
  'closed-pull-requests',
  'job',
  'nonsense'
])(
  'after main failed with scope %s, the post step does nothing',
  async (scope) => {
    const { main, post } = await runJob(
      { ...noDocker, scope, 'github-token': 'x' },
      { GITHUB_REPOSITORY: 'acme/web' },
      nothing
    )
    expect(main.exitCode).toBe(1)
    expect(main.state).toEqual({ main: 'begun' })
    expect(post).toMatchObject({
      ...{ exitCode: 0, stdout: '', stderr: '', summary: '', outputs: {} },
      report: undefined
    })
  }
)

test.each([
  ['is missing', undefined, /job\.json/],
  ['is broken', '{"version":1', /is invalid/],
  ['has another version', '{"version":2}', /is invalid/],
  [
    'is truncated',
    '{"version":1,"engine":{"id":"","endpoint":"","rootDir":"","store":""},"before":{"containers":[]}}',
    /is invalid/
  ]
])(
  'if the snapshot from before the job %s, nothing is removed',
  async (_, text, why) => {
    const snapshot = join(folder, 'job.json')
    if (text !== undefined) await writeFile(snapshot, text)
    const inputs = { ...noDocker, scope: 'job' }
    const state = { main: 'begun', snapshot }
    const post = await runStep(inputs, {}, { state })
    expect(post.exitCode).toBe(0)
    const warning = /^::warning::Nothing was removed after this job: /m
    expect(post.stdout).toMatch(warning)
    expect(post.stdout).toMatch(why)
    expect(post.summary).toMatch(/^## Nothing was removed\./)
    expect(post.summary).toContain('[!WARNING]')
    expect(post.summary).toMatch(why)
  }
)

test('if the scope has changed since main, nothing is removed', async () => {
  const state = { main: 'begun', snapshot: join(folder, 'job.json') }
  const post = await runStep(noDocker, {}, { state })
  expect(post.exitCode).toBe(0)
  expect(post.stdout).toMatch(
    /^::warning::Nothing was removed after this job: .* another scope/m
  )
})

test.each(['failures', 'false'])(
  'with job-summary: %s, a post step that removes nothing writes no summary',
  async (choice) => {
    const state = { main: 'begun', snapshot: join(folder, 'job.json') }
    const inputs = { ...noDocker, 'job-summary': choice }
    const post = await runStep(inputs, {}, { state })
    expect(post).toMatchObject({ exitCode: 0, summary: '' })
    expect(post.stdout).toMatch(/^::warning::Nothing was removed/m)
  }
)

test('scope job is an error without a post step', async () => {
  const inputs = { ...noDocker, scope: 'job' }
  const step = await runStep(inputs, { GITHUB_STATE: undefined })
  expect(step.exitCode).toBe(1)
  expect(step.stdout).toContain(
    '::error::scope: job only works in a workflow step'
  )
})
