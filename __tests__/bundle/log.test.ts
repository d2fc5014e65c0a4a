import { expect, test } from '@jest/globals'
import packageFile from '../../package.json' with { type: 'json' }
import { runStep } from '../../scripts/engines/step.ts'

const noDocker = { docker: '/no/docker' }
const firstLine = `Docker Reclaim ${packageFile.version}`

test.each([
  ['no engine answers', noDocker],
  ['an input is invalid', { until: 'never' }]
])('if %s, the log still begins with the version', async (_, inputs) => {
  const { exitCode, stdout } = await runStep(inputs)
  expect(exitCode).toBe(1)
  expect(stdout.split('\n')[0]).toBe(firstLine)
})
