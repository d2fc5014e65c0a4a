import { isTag } from '../model/references.ts'
import { count } from '../words.ts'
import { folded } from './markdown.ts'
import { goes, type Report, type Resource } from './schema.ts'

const longestScript = 60_000

/**
 * How to pull removed images again by their digests. `digestsAreMadeUp`: the engine gives every image a digest, whether
 * it was pushed or not.
 */
export function renderRestore(
  { resources, dryRun }: Report,
  digestsAreMadeUp: boolean
): string {
  const images = resources.filter((one) => one.kind === 'image' && goes(one))
  const lines = images.flatMap(pullLine)
  const others = images.length - lines.length
  if (lines.length === 0) return ''
  let size = 0
  const shown = lines.filter((line) => (size += line.length) <= longestScript)
  const more = lines.length - shown.length
  const pushed = digestsAreMadeUp ? ', if it was pushed' : ''
  const notes = [
    `Pull an image again by its digest${pushed}:`,
    ['```sh', ...shown, '```'].join('\n'),
    more > 0 ? `… and ${more} more, all in the report file.` : '',
    others > 0
      ? `${count(others, 'image')} without a registry digest: only a new build restores ${others === 1 ? 'it' : 'them'}.`
      : ''
  ]
  return folded(
    dryRun ? 'How to restore an image' : 'How to restore a removed image',
    notes.filter(Boolean).join('\n\n')
  )
}

/** A line for a shell. References with characters that are special to it are left out. */
function pullLine({ digests = [], references = [] }: Resource): string[] {
  const safe = (text: string) =>
    /^[\w./:[\]-]+(?:@sha256:[0-9a-f]+)?$/.test(text)
  const digest = digests.find(
    (one) => safe(one) && !isTag(one) && !one.startsWith('localhost/')
  )
  if (digest === undefined) return []
  const tags = references.filter((one) => safe(one) && isTag(one))
  const note = tags.length > 0 ? ` # ${tags.slice(0, 3).join(', ')}` : ''
  return [`docker pull ${digest}${note}`]
}
