/** Runs the checks, the unit and bundle tests, and the tests of our decisions on this machine's engine. */
import { execPath } from 'node:process'
import { conclude, runCommand, runTests } from './engines/run.ts'

// The matrix runs the other contract tests, also on this engine.
const onEngine = ['rules/', 'scopes/', 'contract/product'].map(
  (path) => `__tests__/engine/${path}`
)

async function checkSources() {
  return [
    await runCommand('types, lint, format', ['npm', 'run', 'check']),
    await runCommand('dist', ['scripts/check-dist.sh'])
  ]
}

const outcomes = await Promise.all([
  runTests('own engine', [
    ...[execPath, 'scripts/engines/row.ts', 'own', '2', ...onEngine]
  ]),
  runTests('unit, bundle', [
    ...['npm', 'run', '--silent', 'jest', '--', '--maxWorkers=1'],
    '--testPathIgnorePatterns=__tests__/(engine|pages)/'
  ]),
  checkSources()
])
conclude(outcomes.flat())
