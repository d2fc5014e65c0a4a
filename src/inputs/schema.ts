import { z } from 'zod'
import type { FreeSpace } from '../model/disks.ts'
import type { InputName } from '../model/inputs.ts'
import {
  parseLabelPattern,
  problemOfGlob,
  problemOfPattern
} from '../model/patterns.ts'
import { largestNumber, type MaxRemovals } from '../model/policy.ts'
import { parseDuration, parseSize } from '../units.ts'
import { rulesForm } from './rules.ts'
import {
  asPath,
  checkedBy,
  choiceInput,
  input,
  listInput,
  parseUntil,
  untilForm,
  wholeNumber,
  yesOrNo
} from './parsers.ts'

const freeSpaceForm =
  'free space: a percentage such as 10%, or a size such as 20GB'

/** Every input, under its public name: type and check. */
export const schema = z.object({
  'keep-last': input(
    'a whole number, 0 or more',
    wholeNumber(0, Number.MAX_SAFE_INTEGER)
  ),
  until: input(untilForm, parseUntil),
  'age-from': choiceInput({ 'last-used': 'last-used', created: 'created' }),
  'protected-labels': listInput('key or key=value', parseLabelPattern),
  'protected-images': listInput(
    'image IDs, or reference globs with *, ** and ?, such as node:* or ghcr.io/acme/**',
    checkedBy(problemOfGlob)
  ),
  'include-containers': choiceInput(yesOrNo),
  'include-images': choiceInput({ ...yesOrNo, dangling: 'dangling' }),
  'include-networks': choiceInput(yesOrNo),
  'include-volumes': choiceInput({
    false: 'none',
    anonymous: 'anonymous',
    true: 'anonymous',
    all: 'all'
  }),
  'include-builders': choiceInput({
    false: 'none',
    stopped: 'stopped',
    all: 'all'
  }),
  'include-build-cache': choiceInput(yesOrNo),
  'build-cache-keep': input('a size such as 10GB or 20GiB', (text) =>
    text === '' ? 0 : parseSize(text)
  ),
  scope: choiceInput({
    engine: 'engine',
    'pull-request': 'pull-request',
    'closed-pull-requests': 'closed-pull-requests',
    job: 'job'
  }),
  'pull-request': input('a pull request number, such as 12', (text) =>
    text === '' ? 0 : wholeNumber(1, largestNumber)(text)
  ),
  'pull-request-patterns': listInput(
    'tag globs with {number}, *, ** and ?, such as pr-{number} or pr-{number}-*',
    checkedBy(problemOfPattern)
  ),
  'github-token': z.string(),
  rules: z.string().describe(rulesForm),
  'when-free-below': input(freeSpaceForm, parseFreeSpace),
  'until-free-above': input(freeSpaceForm, parseFreeSpace),
  'max-removals': input(
    'a number of removals of each kind such as 50, or a percentage such as 20%',
    parseMaxRemovals
  ),
  'job-summary': choiceInput({
    true: 'always',
    failures: 'failures',
    false: 'never'
  }),
  'host-name': input(
    'a name; $RUNNER_NAME is the only variable',
    parseHostName
  ),
  'dry-run': choiceInput(yesOrNo),
  timeout: input('a duration above 0s, at most 24d', parseTimeout),
  concurrency: input('a whole number from 1 to 64', wholeNumber(1, 64)),
  docker: input('the name or path of the Docker CLI', asPath),
  'state-dir': input('a folder path, or nothing', asPath),
  'report-file': input('a file path', asPath)
} satisfies Record<InputName, unknown>)

export type Inputs = z.output<typeof schema>

function parseFreeSpace(text: string): FreeSpace | 'any' | undefined {
  if (text === '') return 'any'
  const [, number] = /^(\d+(?:\.\d+)?) ?%$/.exec(text) ?? []
  const percent = Number(number)
  if (number !== undefined)
    return percent > 0 && percent < 100 ? { percent } : undefined
  const bytes = parseSize(text)
  return bytes ? { bytes } : undefined
}

function parseMaxRemovals(text: string): MaxRemovals | 'any' | undefined {
  if (text === '') return 'any'
  const percent = wholeNumber(0, 100)(text.replace(/ ?%$/, ''))
  if (text.endsWith('%')) return percent === undefined ? undefined : { percent }
  const count = wholeNumber(0, Number.MAX_SAFE_INTEGER)(text)
  return count === undefined ? undefined : { count }
}

function parseHostName(text: string): string | undefined {
  return /^\$(?!RUNNER_NAME$|\{RUNNER_NAME\}$)/.test(text) ? undefined : text
}

const longestTimeout = 24 * 86_400_000

function parseTimeout(text: string): number | undefined {
  const duration = parseDuration(text)
  return duration && duration >= 1 && duration <= longestTimeout
    ? duration
    : undefined
}
