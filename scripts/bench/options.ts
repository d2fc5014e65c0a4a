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
  /** Those of the loops that start a docker for each image: they take minutes. */
  loopRounds: number
  /** What the numbers of images and the like are multiplied by: below 1 only to try the script. */
  scale: number
  /** Image stores; none: all. */
  stores: string[]
  /** Parts of names of contenders; none: all. */
  only: string[]
  large: boolean
  timeline: boolean
  /** A file for the tables. */
  out: string | undefined
  /** Put the tables into docs/benchmarks.md. */
  write: boolean
}

export const usage = `npm run bench -- [${parts.join('|')} …] [options]
  --rounds N      measure every contender N times (5)
  --loop-rounds N the same for loops with a docker for each image, which take minutes
  --store NAME    overlay2 or containerd; both without it
  --only TEXT     only contenders with this in their name; may be given again
  --scale F       F times as many images: 0.05 tries everything in some minutes
  --large         growth up to 10,000 images on overlay2
  --timeline      draw the docker calls of a sweep into docs/ (preview/ with --scale)
  --out FILE      write the tables to a file as well
  --write         write the tables into docs/benchmarks.md`

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
  if (unknown.length > 0) throw new Error(`Unknown: ${unknown.join(', ')}`)
  const rounds = wholeNumber('--rounds', values.rounds)
  const loops = wholeNumber('--loop-rounds', values['loop-rounds'] ?? rounds)
  const scale = positive('--scale', values.scale)
  if (values.write && (scale !== 1 || values.only.length > 0))
    throw new Error('--write takes whole tables: no --scale, no --only')
  return {
    parts: parts.filter(
      (part) => positionals.length === 0 || positionals.includes(part)
    ),
    ...{
      rounds,
      loopRounds: loops,
      scale,
      stores: values.store,
      only: values.only
    },
    ...{ large: values.large, timeline: values.timeline },
    ...{ out: values.out, write: values.write }
  }
}

function wholeNumber(name: string, text: string | number): number {
  const value = positive(name, text)
  if (!Number.isInteger(value)) throw new Error(`${name} takes a whole number`)
  return value
}

function positive(name: string, text: string | number): number {
  const value = Number(text)
  if (!(value > 0))
    throw new Error(`${name} takes a number above 0, not ${text}`)
  return value
}
