/**
 * The everyday tests: types, lint and format, `dist`, unit and bundle tests, and what the product does on the engine of
 * this machine's distribution.
 */
import { execPath } from 'node:process'
import { conclude, runCommand, runTests } from './engines/run.ts'

const onEngine = ['contract', 'rules', 'scopes'].map(
  (folder) => `__tests__/engine/${folder}/`
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
    ...[execPath, 'scripts/engines/row.ts', 'own', '2'],
    ...[...onEngine, '--testPathIgnorePatterns=contract/podman']
  ])
])
conclude([...others, engine])
