/** Bytes free for users other than root, and used. A filesystem such as btrfs counts no inodes. */
export type Space = {
  freeBytes: number
  usedBytes: number
  freeInodes?: number
  totalInodes?: number
}

export const onImageStore = ['images', 'containers', 'build-cache'] as const

export const onRootDir = ['volumes', 'logs'] as const

export const diskContents = [...onImageStore, ...onRootDir] as const

/** A disk with data of the engine, by a folder on it. */
export type Disk = {
  path: string
  holds: (typeof diskContents)[number][]
  before: Space
}
