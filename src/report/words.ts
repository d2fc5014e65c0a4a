import type { Resource } from './schema.ts'

/** The kinds of resources, in the order in which a reader wants them. */
export const nouns = {
  image: 'image',
  container: 'container',
  network: 'network',
  volume: 'volume',
  builder: 'builder',
  'build-cache': 'build cache'
} satisfies Record<Resource['kind'], string>

/** Whether it was removed, or would be. */
export function goes({ action, outcome }: Resource): boolean {
  return outcome === 'removed' || (outcome === 'planned' && action === 'remove')
}
