import type { InputName, InputTexts } from '../model/inputs.ts'
import { kinds, kindsToRead } from '../model/kinds.ts'
import { isTag } from '../model/references.ts'
import { formatDuration, formatSize } from '../units.ts'
import { count } from '../words.ts'
import { estimate, figure } from './markdown.ts'
import type { Resource } from './schema.ts'
import { code } from './text.ts'

/** Rows of a table that shows only the largest. */
export const shownRows = 5

export function whatCell(resource: Resource): string {
  const noun = kinds[resource.kind].noun
  return resource.kind === 'build-cache'
    ? noun
    : `${noun} ${nameCell(resource, 60)}`
}

/** The name, with IDs as short as Docker shows them. */
export function nameCell(resource: Resource, longest = 120): string {
  const name = nameOf(resource)
  return code(name.replace(/\b([0-9a-f]{12})[0-9a-f]{52}\b/g, '$1'), longest)
}

export function whyCell({ reason, detail }: Resource, longest = 300): string {
  // A rule names itself.
  const why = reason === 'rule' ? detail : `${reason}: ${detail}`
  return code(why, longest)
}

/** An input with its value: `keep-last: 3`. The lines of `rules` are in a table of their own. */
export function inputCell(name: InputName, inputs: InputTexts): string {
  if (name === 'rules') return code(name)
  return code(`${name}: ${inputs[name].split(/\s*\n\s*/).join(', ')}`, 80)
}

export function idleCell(milliseconds: number | undefined): string {
  return milliseconds === undefined
    ? 'unknown'
    : figure(formatDuration(milliseconds))
}

export function bytesCell({
  bytes,
  bytesAtMost,
  estimated
}: Pick<Resource, 'bytes' | 'bytesAtMost' | 'estimated'>): string {
  if (bytes === null) return 'unknown'
  const certain = figure(estimate(formatSize(bytes), estimated))
  return bytesAtMost === undefined
    ? certain
    : `${certain}, up to ${figure(formatSize(bytesAtMost))}`
}

export function sumCell(
  bytes: number,
  { unknown, estimated }: { unknown: boolean; estimated?: boolean }
): string {
  if (bytes === 0 && unknown) return 'unknown'
  const sized = figure(estimate(formatSize(bytes), estimated))
  return `${sized}${unknown ? ' or more' : ''}`
}

/** Counts by kind: `1 image`, `2 containers`, `build cache`. */
export function countKinds(resources: readonly Resource[]): string[] {
  return kindsToRead.flatMap((kind) => {
    const { length } = resources.filter((one) => one.kind === kind)
    const { noun } = kinds[kind]
    if (length === 0) return []
    return kind === 'build-cache' ? [noun] : [count(length, noun)]
  })
}

/** All tags of an image, or the references that it loses; else the name. */
function nameOf({
  name,
  references,
  removedReferences,
  outcome
}: Resource): string {
  if (['planned', 'untagged'].includes(outcome) && removedReferences)
    return removedReferences.join(', ')
  const tags = references?.filter(isTag) ?? []
  return tags.length > 0 ? tags.join(', ') : name
}
