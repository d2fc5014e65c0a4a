import { parseArgs } from 'node:util'

export const parts = [
  'sweep',
  'idle',
  'small',
  'growth',
  'plan',
  'start'
] as const

export type Part = (typeof parts)[number]

export type Options = {
  parts: Part[]
  rounds: number
  /** Rounds of the contenders that start one docker per image, which take minutes. */
  loopRounds: number
  /** Factor of all numbers of images, containers and volumes; below 1 to try the script. */
  scale: number
  /** Names of image stores; empty: all. */
  stores: string[]
  /** Substrings of contenders' names; empty: all. */
  only: string[]
  large: boolean
  timeline: boolean
  /** File to write the tables to. */
  out: string | undefined
  /** Update docs/benchmarks.md. */
  write: boolean
}

export const usage = `npm run bench -- [${parts.join('|')} …] [options]
  --rounds N      measure every contender N times (5)
  --loop-rounds N the same for loops with one docker per image, which take minutes
  --store NAME    overlay2 or containerd (both)
  --only TEXT     only contenders with TEXT in their name; repeatable
  --scale F       multiply the number of images by F; 0.05 takes a few minutes
  --large         measure growth up to 10,000 images on overlay2
  --timeline      draw the docker calls of a sweep into docs/ (preview/ with --scale)
  --out FILE      also write the tables to FILE
  --write         update the tables in docs/benchmarks.md`

export function readOptions(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      'loop-rounds': { type: 'string' },
      scale: { type: 'string', default: '1' },
      store: { type: 'string', multiple: true, default: [] },
      only: { type: 'string', multiple: true, default: [] },
      large: { type: 'boolean', default: false },
      timeline: { type: 'boolean', default: false },
      out: { type: 'string' },
      write: { type: 'boolean', default: false }
    }
  })
  const unknown = positionals.filter(
    (name) => !parts.some((part) => part === name)
  )
  if (unknown.length > 0)
    throw new Error(`Unknown parts: ${unknown.join(', ')}`)
  const rounds = wholeNumber('--rounds', values.rounds)
  const loopRounds = wholeNumber(
    '--loop-rounds',
    values['loop-rounds'] ?? rounds
  )
  const scale = positive('--scale', values.scale)
  if (values.write && (scale !== 1 || values.only.length > 0))
    throw new Error('--write cannot be combined with --scale or --only')
  return {
    parts: parts.filter(
      (part) => positionals.length === 0 || positionals.includes(part)
    ),
    ...{ rounds, loopRounds, scale },
    ...{ stores: values.store, only: values.only },
    ...{ large: values.large, timeline: values.timeline },
    ...{ out: values.out, write: values.write }
  }
}

function wholeNumber(name: string, text: string | number): number {
  const value = positive(name, text)
  if (!Number.isInteger(value))
    throw new Error(`${name} must be a whole number`)
  return value
}

function positive(name: string, text: string | number): number {
  const value = Number(text)
  if (!(value > 0))
    throw new Error(`${name} must be a number above 0, not ${text}`)
  return value
}
