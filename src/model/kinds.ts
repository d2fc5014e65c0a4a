/** The kinds of resources, in the order in which they go: what goes frees what it needed. */
export const kinds = [
  'container',
  'builder',
  'network',
  'image',
  'volume',
  'build-cache'
] as const

export type Kind = (typeof kinds)[number]
