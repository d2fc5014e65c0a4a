import { partMatcher } from '../../model/patterns.ts'
import { largestNumber } from '../../model/policy.ts'

/** The globs of what stands before and after a number. */
export type NumberGlob = { before: string; after: string }

export type NumberFinder = (text: string) => number[]

export function splitPattern(pattern: string): NumberGlob {
  const [before = '', after = ''] = pattern.split('{number}')
  return { before, after }
}

/** The globs of compose projects that join one of the names to what the tags have around the number. */
export function projectGlobs(
  tags: readonly NumberGlob[],
  names: readonly string[]
): NumberGlob[] {
  return tags.map(withoutEnds).flatMap(({ before, after }) =>
    names.flatMap(slugs).flatMap((name) => [
      { before: `${name}-${before}`, after },
      { before, after: `${after}-${name}` }
    ])
  )
}

/** Finds the numbers in a text by what stands around them. A number is all its digits: 1 is not in 12. */
export function numberFinder(globs: readonly NumberGlob[]): NumberFinder {
  const matchers = globs.map(({ before, after }) => ({
    before: partMatcher(before),
    after: partMatcher(after)
  }))
  return (text) => {
    if (text.length > longestTag) return []
    return [...text.matchAll(/\d+/g)].flatMap(({ 0: digits, index }) => {
      const before = text.slice(0, index)
      const after = text.slice(index + digits.length)
      const found = matchers.some(
        (one) => one.before(before) && one.after(after)
      )
      const number = Number(digits)
      return found && !digits.startsWith('0') && number <= largestNumber
        ? [number]
        : []
    })
  }
}

/** Docker's limit. */
const longestTag = 128

/** The forms of a name in a compose project: Compose drops invalid characters (`Site.io`: `siteio`), others put a dash. */
export function slugs(name: string): string[] {
  const composed = name.toLowerCase().replace(/[^a-z0-9_-]/g, '')
  const forms = [name, composed].map((one) => slug(one).replace(/^-+/, ''))
  return [...new Set(forms)]
}

export function slug(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9*?]+/g, '-')
}

/** The part of a tag's pattern that a compose project may have: `-pr-{number}` of `*-pr-{number}`. */
function withoutEnds({ before, after }: NumberGlob): NumberGlob {
  return {
    before: slug(before.replace(/^\*+[._-]?/, '')),
    after: slug(after.replace(/[._-]?\*+$/, ''))
  }
}
