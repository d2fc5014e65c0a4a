import type { Message } from './messages.ts'

/** Every input with its default, as in action.yml. */
export const defaults = {
  'keep-last': '3',
  until: '24h',
  'age-from': 'last-used',
  'protected-labels': 'keep',
  'protected-images': '',
  'include-containers': 'true',
  'include-images': 'true',
  'include-networks': 'true',
  'include-volumes': 'false',
  'include-builders': 'false',
  'include-build-cache': 'true',
  'build-cache-keep': '',
  scope: 'engine',
  'pull-request': '',
  'pull-request-patterns': 'pr-{number}, pr-{number}-*, *-pr-{number}',
  'github-token': '${{ github.token }}',
  rules: '',
  'when-free-below': '',
  'until-free-above': '',
  'max-removals': '',
  'job-summary': 'true',
  'host-name': '$RUNNER_NAME',
  'dry-run': 'false',
  timeout: '15m',
  concurrency: '4',
  docker: 'docker',
  'state-dir': '$RUNNER_TOOL_CACHE/docker-reclaim',
  'report-file': '$RUNNER_TEMP/docker-reclaim/report.json'
}

export type InputName = keyof typeof defaults

/** The inputs as given, or their defaults. */
export type InputTexts = Record<InputName, string>

export const inputNames = Object.keys(defaults).filter(
  (name): name is InputName => name in defaults
)

/** Bad inputs, all in one message. Nothing has been removed when it is thrown. */
export class InputError extends Error {
  override name = 'InputError'

  constructor({ text }: Message) {
    super(text)
  }
}

/** The environment variable in which the runner passes an input. */
export function variableOf(name: string): string {
  return `INPUT_${name.toUpperCase()}`
}
