/** Bytes free for users other than root, and used. A filesystem such as btrfs counts no inodes. */
export type Space = {
  freeBytes: number
  usedBytes: number
  freeInodes?: number | undefined
  totalInodes?: number | undefined
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

/** Free space: a percentage, 100 less what `df` calls Use%, or bytes. */
export type FreeSpace = { percent: number } | { bytes: number }

/** What has to be freed until that much is free; none where enough is. A size says nothing of inodes. */
export function missingSpace(
  { freeBytes, usedBytes, freeInodes = 0, totalInodes = 0 }: Space,
  wanted: FreeSpace
): { bytes: number; inodes: number } {
  if ('bytes' in wanted)
    return { bytes: Math.max(wanted.bytes - freeBytes, 0), inodes: 0 }
  const lacks = (free: number, all: number) =>
    Math.max(Math.ceil((all * wanted.percent) / 100) - free, 0)
  return {
    bytes: lacks(freeBytes, freeBytes + usedBytes),
    inodes: lacks(freeInodes, totalInodes)
  }
}

export function isLow(space: Space, wanted: FreeSpace): boolean {
  const { bytes, inodes } = missingSpace(space, wanted)
  return bytes > 0 || inodes > 0
}
