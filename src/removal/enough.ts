import {
  type Disk,
  type FreeSpace,
  missingSpace,
  type Space
} from '../model/disks.ts'
import { contentsOf } from '../model/kinds.ts'
import type { PlanItem } from '../model/plan.ts'

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

/** The same where it would be enough: btrfs commits every 30 s. */
const longPatience = 30_000

const pause = 50

/** Waits until what was certainly freed shows, and for no longer than a filesystem takes: others may be writing. */
export async function waitForFreed(
  enough: Enough,
  items: readonly PlanItem[],
  isOver: () => boolean
): Promise<void> {
  for (const one of enough.watched)
    one.freed += items
      .filter((item) => isOnlyOn(one.disk, item))
      .reduce((all, item) => all + certainOf(item), 0)
  for (let waited = 0; ; waited += pause) {
    await measure(enough)
    const late = enough.watched.filter((one) => isLate(one, enough, waited))
    if (late.length === 0 || isOver()) break
    await enough.target.sleep(pause)
  }
  for (const one of enough.watched)
    Object.assign(one, { seen: one.space.freeBytes, freed: 0 })
}

function isLate(
  { space, seen, freed }: Watched,
  { target }: Enough,
  waited: number
): boolean {
  const freeBytes = seen + freed
  const all = space.freeBytes + space.usedBytes
  const isMissing = (one: Space) => missingSpace(one, target.wanted).bytes > 0
  if (freed === 0 || space.freeBytes >= freeBytes || !isMissing(space))
    return false
  const shown = { freeBytes, usedBytes: all - freeBytes }
  return waited < (isMissing(shown) ? patience : longPatience)
}

function certainOf({ bytes = 0, estimated }: PlanItem): number {
  return estimated ? 0 : bytes
}

/** Whether all that the item frees is on the disk. */
function isOnlyOn({ holds }: Disk, { kind }: PlanItem): boolean {
  return contentsOf(kind).every((one) => holds.includes(one))
}
