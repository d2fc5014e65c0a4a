import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir, uptime } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { execa } from 'execa'
import { findOldestJob, findOtherJobs } from '../../src/host/workers.ts'

let proc: string
beforeEach(async () => {
  proc = await mkdtemp(join(tmpdir(), 'proc-'))
  await mkdir(join(proc, 'self/ns'), { recursive: true })
  await symlink('pid:[4026531836]', join(proc, 'self/ns/pid'))
})
afterEach(async () => {
  await rm(proc, { recursive: true })
})

type Process = {
  id: number
  parent: number
  words: string[]
  name?: string
  state?: string
  /** Seconds since it started. */
  age?: number
}

async function write(...processes: Process[]): Promise<void> {
  for (const {
    id,
    parent,
    words,
    name = words[0] ?? '',
    state = 'S',
    age = 0
  } of processes) {
    const folder = join(proc, String(id))
    await mkdir(folder)
    const short = name.split('/').at(-1)?.slice(0, 15)
    await writeFile(
      join(folder, 'stat'),
      `${id} (${short}) ${state} ${parent}${' 0'.repeat(17)} ${Math.round((uptime() - age) * 100)}`
    )
    const line = words.map((word) => `${word}\0`).join('')
    await writeFile(join(folder, 'cmdline'), line)
  }
}

const listener = '/runner/bin/Runner.Listener'
const worker = ['/runner/bin/Runner.Worker', 'spawnclient', '123', '130']
const own = [
  { id: 1, parent: 0, words: ['/sbin/init'] },
  { id: 10, parent: 1, words: [listener, 'run'] },
  { id: 20, parent: 10, words: worker },
  { id: 30, parent: 20, words: ['node', 'dist/index.js'] },
  { id: 2, parent: 0, words: [], name: 'kthreadd' }
]
const self = 30
const find = () => findOtherJobs({ proc, self })

test('the job’s own worker is its ancestor; that worker’s other children are not jobs', async () => {
  await write(
    ...own,
    { id: 31, parent: 20, words: ['sh', '-c', 'Runner.Worker'] },
    // Forked from the worker, and not yet replaced by exec.
    { id: 32, parent: 20, words: worker },
    { id: 33, parent: 1, words: ['vim', '/runner/bin/Runner.Worker.log'] }
  )
  expect(await find()).toBeUndefined()
})

test.each([
  ['beside it', 1, worker, undefined],
  ['of the same runner', 10, worker, undefined],
  [
    'run by dotnet',
    1,
    ['dotnet', '/opt/bin/Runner.Worker.dll', 'x'],
    undefined
  ],
  ['run by a shell', 1, ['/bin/sh', '/opt/Runner.Worker', 'x'], undefined],
  ['with another command line', 1, ['worker'], 'Runner.Worker'],
  [
    'with a name that is hard to parse',
    1,
    ['x) S 20 (y', worker[0] ?? ''],
    undefined
  ]
])('another worker %s is found', async (_, parent, words, name) => {
  await write(...own, { id: 40, parent, words, ...(name && { name }) })
  expect(await find()).toMatch(/another job .* process 40\)/)
})

test('a zombie worker is ignored', async () => {
  await write(...own, {
    id: 40,
    parent: 1,
    words: [],
    name: 'Runner.Worker',
    state: 'Z'
  })
  expect(await find()).toBeUndefined()
})

test('a process that ends during the scan is ignored; one that cannot be read is an error', async () => {
  await write(...own)
  await mkdir(join(proc, '50'))
  expect(await find()).toBeUndefined()
  await mkdir(join(proc, '60/stat'), { recursive: true })
  expect(await find()).toMatch(/cannot be read/)
})

test('without its own worker, other jobs cannot be ruled out', async () => {
  await write(...own.filter(({ id }) => id !== 20))
  expect(await find()).toMatch(
    /other jobs may be .* Runner.Worker of this job is not in/
  )
})

test('with hidden processes, other jobs cannot be ruled out', async () => {
  await write(...own.filter(({ id }) => id !== 1))
  expect(await find()).toMatch(/other jobs may be .* hidden/)
})

test('in a PID namespace or without /proc, other jobs cannot be ruled out', async () => {
  await write(...own)
  await rm(join(proc, 'self/ns/pid'))
  expect(await find()).toMatch(/other jobs may be .* ENOENT/)
  await symlink('pid:[4026532999]', join(proc, 'self/ns/pid'))
  expect(await find()).toMatch(/other jobs may be .*only part/)
  const real = ['--pid', '--fork', '--mount-proc', '--map-root-user', '--user']
  const file = join(import.meta.dirname, '../../src/host/workers.ts')
  const script = `import { findOldestJob, findOtherJobs } from '${file}'; console.log(await findOtherJobs())`
  const { stdout } = await execa('unshare', [
    ...real,
    process.execPath,
    '--input-type=module',
    '--eval',
    script
  ])
  expect(stdout).toMatch(/other jobs may be .*only part/)
})

test('the oldest job is the one whose worker started first', async () => {
  await write(...own.map((one) => ({ ...one, age: 100 })))
  await write(
    { id: 40, parent: 1, words: worker, age: 5_000 },
    // A zombie has no job, and a listener only waits for one.
    { id: 41, parent: 1, words: worker, age: 9_000, state: 'Z' },
    { id: 42, parent: 1, words: [listener, 'run'], age: 9_000 }
  )
  const began = (await findOldestJob(proc)) ?? 0
  expect((Date.now() - began) / 1_000).toBeCloseTo(5_000, -1)
})

test('without a worker there is no job; without /proc the oldest job is unknown', async () => {
  await write({ id: 1, parent: 0, words: ['/sbin/init'] })
  expect(await findOldestJob(proc)).toBe(Infinity)
  expect(await findOldestJob(join(proc, 'gone'))).toBeUndefined()
})
