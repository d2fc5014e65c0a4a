import { expect, test } from '@jest/globals'
import packageFile from '../../package.json' with { type: 'json' }
import { runStep } from '../../scripts/engines/step.ts'

const noDocker = { docker: '/no/docker' }
const noFile = { GITHUB_STEP_SUMMARY: undefined }
const firstLine = `Docker Reclaim ${packageFile.version}`

test.each([
  ['no engine answers', noDocker],
  ['an input is invalid', { until: 'never' }]
])('if %s, the log still begins with the version', async (_, inputs) => {
  const { exitCode, stdout } = await runStep(inputs)
  expect(exitCode).toBe(1)
  expect(stdout.split('\n')[0]).toBe(firstLine)
})

test.each([
  ['true', noDocker, true],
  ['failures', noDocker, true],
  ['false', noDocker, false],
  ['false', { until: 'never' }, true]
])(
  'job-summary: %s, step with %j: a failure is in the summary: %s',
  async (choice, inputs, written) => {
    const all = { ...inputs, 'job-summary': choice }
    const [done, logged] = await Promise.all([
      runStep(all),
      runStep(all, noFile)
    ])
    const title = '## Nothing was removed.'
    expect(done.summary.startsWith(title)).toBe(written)
    expect(done.summary === '').toBe(!written)
    expect(logged.stdout.includes(title)).toBe(written)
    for (const { exitCode, stdout } of [done, logged]) {
      expect(exitCode).toBe(1)
      expect(stdout.match(/^::error::/gm)).toHaveLength(1)
    }
  }
)
