import type { Disk } from './disks.ts'
import type { InputName } from './inputs.ts'

type Row = {
  noun: string
  /** Removals go phase by phase: what goes frees what it needed. */
  phase: number
  /** The order for readers. */
  place: number
  /** The input that lets it go. */
  include: InputName
  /** The content of a disk that it frees: most of a builder is its volume. */
  disk: Disk['holds'][number]
}

/** One row a kind of resource. */
export const kinds = {
  container: {
    noun: 'container',
    phase: 1,
    place: 2,
    include: 'include-containers',
    disk: 'containers'
  },
  builder: {
    noun: 'builder',
    phase: 1,
    place: 5,
    include: 'include-builders',
    disk: 'volumes'
  },
  network: {
    noun: 'network',
    phase: 2,
    place: 3,
    include: 'include-networks',
    disk: 'volumes'
  },
  image: {
    noun: 'image',
    phase: 3,
    place: 1,
    include: 'include-images',
    disk: 'images'
  },
  volume: {
    noun: 'volume',
    phase: 4,
    place: 4,
    include: 'include-volumes',
    disk: 'volumes'
  },
  'build-cache': {
    noun: 'build cache',
    phase: 5,
    place: 6,
    include: 'include-build-cache',
    disk: 'build-cache'
  }
} as const satisfies Record<string, Row>

export type Kind = keyof typeof kinds

export const kindNames = Object.keys(kinds).filter(
  (name): name is Kind => name in kinds
)

/** The kinds in the order for readers. */
export const kindsToRead = kindNames.toSorted(
  (a, b) => kinds[a].place - kinds[b].place
)

/** The contents of disks that the removal of a resource frees: containers have their log elsewhere, builders a volume. */
export function contentsOf(kind: Kind): Disk['holds'][number][] {
  if (kind === 'container') return ['containers', 'logs']
  return kind === 'builder' ? ['containers', 'volumes'] : [kinds[kind].disk]
}
