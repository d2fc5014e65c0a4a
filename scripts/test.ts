/** Runs the checks, the unit and bundle tests, and the tests of our decisions on this machine's engine. */
import { execPath } from 'node:process'
import { conclude, runCommand, runTests } from './engines/run.ts'

// The matrix runs the other contract tests, also on this engine.
const onEngine = ['rules/', 'scopes/', 'contract/product'].map(
  (path) => `__tests__/engine/${path}`
)

/** Runs one at a time, as the engine's tests run in parallel. */
async function runOthers() {
  return [
    await runCommand('types, lint, format', ['npm', 'run', 'check']),
    await runCommand('dist', ['scripts/check-dist.sh']),
    await runTests('unit, bundle', [
      ...['npm', 'run', '--silent', 'jest', '--', '--maxWorkers=1'],
      '--testPathIgnorePatterns=__tests__/(engine|pages)/'
    ])
  ]
}

const [others, engine] = await Promise.all([
  runOthers(),
  runTests('own engine', [
    ...[execPath, 'scripts/engines/row.ts', 'own', '2', ...onEngine]
  ])
])
conclude([...others, engine])
