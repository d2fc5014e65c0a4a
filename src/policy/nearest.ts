import { distance } from 'fastest-levenshtein'
import { parseReference } from '../model/references.ts'

/** The share of characters that may differ. */
const nearEnough = 1 / 3

/** More names than that are not compared. */
export const mostCandidates = 2_000

/** The most similar of the candidates, if any is similar to a pattern; each counts by the most similar of its forms. */
export function findNearest(
  pattern: string,
  candidates: readonly string[],
  forms: (candidate: string) => readonly string[] = (one) => [one]
): string | undefined {
  const text = withoutWildcards(pattern)
  const [nearest] = [...new Set(candidates)]
    .slice(0, mostCandidates)
    .map((name) => {
      const far = forms(name).map((form) => difference(text, form))
      return { name, far: Math.min(...far) }
    })
    .filter(({ far }) => far <= nearEnough)
    .sort((a, b) => a.far - b.far)
  return nearest?.name
}

/** The share of characters that differ; Infinity where the lengths alone differ too much. */
function difference(a: string, b: string): number {
  const longest = Math.max(a.length, b.length, 1)
  const least = Math.abs(a.length - b.length)
  return least / longest > nearEnough ? Infinity : distance(a, b) / longest
}

/** The forms of a reference that a pattern may have meant: without its registry or owner, with a tag if the pattern has. */
export function formsOf(glob: string): (reference: string) => string[] {
  const tagged = parseReference(glob).tag !== undefined
  return (reference) => {
    const { repository, tag = '' } = parseReference(reference)
    const parts = repository.split('/')
    return parts.flatMap((_, index) => {
      const path = parts.slice(index).join('/')
      return tagged ? [`${path}:${tag}`, `${path}:`] : [path]
    })
  }
}

function withoutWildcards(pattern: string): string {
  return pattern
    .toLowerCase()
    .replace(/[*?]+/g, '')
    .replace(/^\/+|\/+$/g, '')
}
