/**
 * The everyday tests: types, lint and format, `dist`, unit and bundle tests, and what the product does on the engine of
 * this machine's distribution.
 */
import { execPath } from 'node:process'
import { conclude, runCommand, runTests } from './engines/run.ts'

/** The facts behind them, and the rest of the contract, are for the matrix, which has this engine, too. */
const onEngine = ['rules/', 'scopes/', 'contract/product'].map(
  (path) => `__tests__/engine/${path}`
)

/** One after the other, beside the engines, which also wait. */
async function withoutEngine() {
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
  withoutEngine(),
  runTests('own engine', [
    ...[execPath, 'scripts/engines/row.ts', 'own', '2', ...onEngine]
  ])
])
conclude([...others, engine])
