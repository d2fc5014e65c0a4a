import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { execa } from 'execa'
import { parse } from 'yaml'
import { inputNames } from '../src/model/inputs.ts'

const project = join(import.meta.dirname, '..')

type Step = { uses?: string; run?: string; with?: Record<string, unknown> }
type Workflow = {
  permissions: object
  jobs: Record<
    string,
    {
      'timeout-minutes'?: number
      permissions: object
      uses?: string
      steps?: Step[]
    }
  >
}

async function readWorkflows() {
  const folder = join(project, '.github/workflows')
  return Promise.all(
    (await readdir(folder)).map(async (file) => {
      const text = await readFile(join(folder, file), 'utf8')
      const workflow = parse(text) as Workflow
      const jobs = Object.values(workflow.jobs)
      const steps = jobs.flatMap((job) => job.steps ?? [])
      return { text, workflow, jobs, steps }
    })
  )
}
const workflows = await readWorkflows()
const steps = workflows.flatMap((one) => one.steps)

test('workflows pin every action of others by commit, with its version', () => {
  const uses = workflows.flatMap(({ text }) =>
    [...text.matchAll(/\buses: (.+)$/gm)].map(([, one = '']) => one)
  )
  const pins = uses.filter((one) => !one.startsWith('./'))
  expect(pins.length).toBeGreaterThan(10)
  for (const pin of pins)
    expect(pin).toMatch(/^[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  // Dependabot updates all uses of an action together.
  const versions = new Set(pins)
  const actions = new Set(pins.map((pin) => pin.split('@')[0]))
  expect(versions.size).toBe(actions.size)
})

test('jobs have their own permissions and a time limit', () => {
  for (const { workflow, jobs } of workflows) {
    expect(workflow.permissions).toEqual({})
    for (const job of jobs) {
      expect(job.permissions).toMatchObject({ contents: expect.anything() })
      // A reusable workflow has its own.
      if (job.uses === undefined)
        expect(job['timeout-minutes']).toBeLessThanOrEqual(30)
    }
  }
})

test('no checkout keeps its credentials, and no script has an expression', () => {
  const checkouts = steps.filter((step) =>
    step.uses?.startsWith('actions/checkout@')
  )
  expect(checkouts.length).toBeGreaterThan(5)
  for (const { with: inputs } of checkouts)
    expect(inputs).toMatchObject({ 'persist-credentials': false })
  for (const { run = '' } of steps) expect(run).not.toContain('${{')
})

test('workflows use only inputs of this action that exist', () => {
  const own = steps.filter(({ uses }) => uses === './')
  expect(own.length).toBeGreaterThan(3)
  for (const { with: inputs = {} } of own)
    expect(inputNames).toEqual(expect.arrayContaining(Object.keys(inputs)))
})

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'release-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

type ReleaseFiles = { current?: string; locked?: string; changelog?: string }

/** Runs scripts/release.ts in a folder with these versions and this changelog. */
async function release(version: string, given: ReleaseFiles) {
  const { current = '1.2.3', locked = '1.2.3', changelog = '' } = given
  const files = {
    'package.json': JSON.stringify({ version: current }),
    'package-lock.json': JSON.stringify({ version: locked }),
    'CHANGELOG.md': changelog
  }
  for (const [name, text] of Object.entries(files))
    await writeFile(join(folder, name), text)
  const script = join(project, 'scripts/release.ts')
  return execa(process.execPath, [script, version], {
    cwd: folder,
    reject: false
  })
}

const changelog = `# Changelog

## [1.2.3] - 2026-01-31

### Fixed

- A bug.

## [1.2.2] - 2026-01-30

- Older.
`

test('a release has the notes of its section', async () => {
  const { exitCode, stdout } = await release('1.2.3', { changelog })
  expect(exitCode).toBe(0)
  expect(stdout).toBe('### Fixed\n\n- A bug.')
})

test.each([
  ['1.2', {}, 'must look like 1.2.3'],
  ['v1.2.3', {}, 'must look like 1.2.3'],
  ['1.2.03', {}, 'must look like 1.2.3'],
  ['1.2.3\n', {}, 'must look like 1.2.3'],
  ['1.2.3', { current: '1.2.2' }, 'package.json has version 1.2.2'],
  ['1.2.3', { locked: '1.2.2' }, 'package-lock.json has version 1.2.2'],
  ['1.2.3', { changelog: '## [11.2.3] - 2026-01-31\n\nText' }, 'no section'],
  ['1.2.3', { changelog: '## [1.2.3] - Unreleased\n\nText' }, 'Set the date'],
  ['1.2.3', { changelog: '## [1.2.3] - 2026-01-31\n\n## [1.2.2]' }, 'is empty']
])('no release of %j with %j', async (version, files, problem) => {
  const { exitCode, stdout, stderr } = await release(version, {
    changelog,
    ...files
  })
  expect(exitCode).toBe(1)
  expect(stdout).toBe('')
  expect(stderr).toContain(problem)
})

test('the changelog begins with the version that comes next, or is released', async () => {
  const text = await readFile(join(project, 'CHANGELOG.md'), 'utf8')
  const [first] = /^## .*$/m.exec(text) ?? []
  expect(first).toMatch(/^## \[\d+\.\d+\.\d+\] - (Unreleased|\d{4}-\d\d-\d\d)$/)
})
