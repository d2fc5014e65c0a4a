import {
  type Disk,
  type FreeSpace,
  missingSpace,
  type Space
} from '../model/disks.ts'
import { contentsOf } from '../model/kinds.ts'
import type { PlanItem } from '../model/plan.ts'
import { sum } from '../units.ts'

/** The free space at which a removal ends. */
export type Target = {
  disks: readonly Disk[]
  wanted: FreeSpace
  readSpace: (path: string) => Promise<Space | undefined>
  sleep: (milliseconds: number) => Promise<unknown>
}

/** What is known of a disk while space is freed on it. */
type Watched = {
  disk: Disk
  space: Space
  /** Bytes that were free when all that had been freed could be seen, and that were certainly freed since. */
  seen: number
  freed: number
}

export type Enough = { target: Target; watched: Watched[] }

export function createEnough(target: Target): Enough {
  return {
    target,
    watched: target.disks.map((disk) => ({
      ...{ disk, space: disk.before, seen: disk.before.freeBytes, freed: 0 }
    }))
  }
}

/** What is missing on the disks that the removal of an item frees; undefined if none of them lacks anything. */
export function missingFor(
  { target, watched }: Enough,
  { kind }: Pick<PlanItem, 'kind'>
): { bytes: number; inodes: number } | undefined {
  const contents = new Set(contentsOf(kind))
  const missing = watched
    .filter(({ disk }) => disk.holds.some((one) => contents.has(one)))
    .map(({ space }) => missingSpace(space, target.wanted))
  const bytes = Math.max(...missing.map((one) => one.bytes), 0)
  const inodes = Math.max(...missing.map((one) => one.inodes), 0)
  return bytes > 0 || inodes > 0 ? { bytes, inodes } : undefined
}

/** Reads the disks. One that can no longer be read counts as free enough: nobody could tell when to end. */
export async function measure({ target, watched }: Enough): Promise<void> {
  for (const one of watched) {
    const space = await target.readSpace(one.disk.path)
    one.space = space ?? { freeBytes: Number.MAX_SAFE_INTEGER, usedBytes: 0 }
  }
}

/** Milliseconds in which freed space shows on filesystems that are late. */
const patience = 3_000

/** The same where it would be enough: zfs takes 5 s, btrfs up to 30 s; others may be filling the disk instead. */
const longPatience = 10_000

const pause = 50

/** Waits until what was certainly freed shows, and for no longer than a filesystem takes: others may be writing. */
export async function waitForFreed(
  enough: Enough,
  items: readonly PlanItem[],
  isOver: () => boolean
): Promise<void> {
  const freed = new Map(
    enough.watched.map((one) => [one, certainOn(one.disk, items)])
  )
  for (const [one, bytes] of freed) one.freed += bytes
  for (let waited = 0; ; waited += pause) {
    await measure(enough)
    const isLate = (one: Watched) =>
      freed.get(one) !== 0 && waited < patienceFor(one, enough)
    if (!enough.watched.some(isLate) || isOver()) break
    await enough.target.sleep(pause)
  }
  // What may still show later counts until it does, or would be enough.
  for (const one of enough.watched)
    if (patienceFor(one, enough) !== patience)
      Object.assign(one, { seen: one.space.freeBytes, freed: 0 })
}

/** How long to wait until what was certainly freed on a disk shows; 0 if it does, or enough is free. */
function patienceFor(
  { space, seen, freed }: Watched,
  { target }: Enough
): number {
  const freeBytes = seen + freed
  const all = space.freeBytes + space.usedBytes
  const isMissing = (one: Space) => missingSpace(one, target.wanted).bytes > 0
  if (freed === 0 || space.freeBytes >= freeBytes || !isMissing(space)) return 0
  const shown = { freeBytes, usedBytes: all - freeBytes }
  return isMissing(shown) ? patience : longPatience
}

/** Bytes that the removal of the items has certainly freed on a disk, and on no other. */
function certainOn({ holds }: Disk, items: readonly PlanItem[]): number {
  const certain = items.filter(
    ({ kind, estimated }) =>
      !estimated && contentsOf(kind).every((one) => holds.includes(one))
  )
  return sum(certain.map(({ bytes = 0 }) => bytes))
}
