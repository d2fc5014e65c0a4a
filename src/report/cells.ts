import { isTag } from '../model/references.ts'
import { nouns } from './words.ts'
import type { Resource } from './schema.ts'
import { code } from './text.ts'

// How resources stand in the tables of the summary.

/** How many rows stand there without being unfolded. */
export const shownRows = 5

/** Kind and name in one, where there is little room. */
export function whatCell(resource: Resource): string {
  const noun = nouns[resource.kind]
  return resource.kind === 'build-cache'
    ? noun
    : `${noun} ${nameCell(resource, 60)}`
}

export function nameCell(resource: Resource, longest = 120): string {
  return code(shortened(nameOf(resource)), longest)
}

/** What a reader knows it by: all references of an image that goes or stays, or those that it loses. */
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

export function whyCell({ reason, detail }: Resource, longest = 300): string {
  return code(`${reason}: ${detail}`, longest)
}

/** IDs as Docker shows them to people. */
function shortened(text: string): string {
  return text.replace(/\b([0-9a-f]{12})[0-9a-f]{52}\b/g, '$1')
}
