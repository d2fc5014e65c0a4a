import { partMatcher } from '../../model/patterns.ts'
import { largestNumber } from '../../model/policy.ts'

/** No tag is longer. */
const longestTag = 128

/** The globs of what stands before and after a number. */
type NumberGlob = { before: string; after: string }

export function splitPattern(pattern: string): NumberGlob {
  const [before = '', after = ''] = pattern.split('{number}')
  return { before, after }
}

/** What of a pattern stands for the pull request alone, as it may stand in the name of a project. */
export function withoutEnds({ before, after }: NumberGlob): NumberGlob {
  return {
    before: slug(before.replace(/^\*+[._-]?/, '')),
    after: slug(after.replace(/[._-]?\*+$/, ''))
  }
}

/** A name as it stands in that of a compose project, whatever its parts are joined with. */
export function slug(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9*?]+/g, '-')
}

/** How a repository may be called there: Compose drops what it does not take (`Site.io` is `siteio`), others put a dash. */
export function slugs(name: string): string[] {
  const composed = name.toLowerCase().replace(/[^a-z0-9_-]/g, '')
  const called = [name, composed].map((one) => slug(one).replace(/^-+/, ''))
  return [...new Set(called)]
}

/** Finds numbers by what stands around them. A number is all its digits: 1 is not in 12. */
export function numberFinder(
  globs: readonly NumberGlob[]
): (text: string) => number[] {
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

/** `acme/web` of `https://github.com/acme/web.git` or `git@github.com:acme/web`, in lower case. */
export function pathOfUrl(url: string): string {
  const [address = ''] = url.trim().toLowerCase().split(/[?#]/)
  const path = address
    .replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*\//, '')
    .replace(/^(?:[^/@]+@)?[^/:@]+:/, '')
  const parts = path.split('/').filter(Boolean)
  return parts.join('/').replace(/\.git$/, '')
}
