import { kinds } from '../model/kinds.ts'
import { formatSize, sum } from '../units.ts'
import { bar, estimate, figure, table } from './markdown.ts'
import type { Report, Resource } from './schema.ts'
import { code } from './text.ts'

type Disk = Report['disks'][number]
type Space = Disk['before']

/** How full the disks were and are, for the headline. */
export function describeDisks({ disks, dryRun, pressure }: Report): string {
  if (disks.length === 0) return ''
  const described = disks.map(({ before, after = before }) => {
    const use = [before, ...(dryRun ? [] : [after])].map(usePercentage)
    const { freeBytes } = dryRun ? before : after
    const free = pressure ? `, ${formatSize(freeBytes)} free` : ''
    return `${[...new Set(use)].join(' → ')} used${free}`
  })
  return ` Disk ${described.join(', image store disk ')}.`
}

/** Free bytes and, where they are few, inodes: `24 % (31 GB) free`. */
export function describeFree(space: Space): string {
  const { freeBytes, usedBytes, freeInodes = 0, totalInodes } = space
  const share = (free: number, all: number) =>
    `${Math.floor((free * 100) / Math.max(all, 1))} %`
  const bytes = `${share(freeBytes, freeBytes + usedBytes)} (${formatSize(freeBytes)})`
  const few = totalInodes !== undefined && freeInodes * 4 < totalInodes
  return few
    ? `${bytes} and ${share(freeInodes, totalInodes)} of the inodes free`
    : `${bytes} free`
}

export function renderDisks(report: Report): string {
  const { disks, totals } = report
  if (disks.length === 0 || totals.skipped) return ''
  const rows = disks.flatMap((disk) => renderDisk(disk, report))
  const inodes = disks.some(({ before }) => before.totalInodes !== undefined)
  const head = ['disk', 'used', ':', 'free:']
  return inodes
    ? table([...head, 'inodes used:', 'inodes free:'], rows)
    : table(
        head,
        rows.map((cells) => cells.slice(0, head.length))
      )
}

function renderDisk(disk: Disk, report: Report): string[][] {
  const { path, holds, before } = disk
  const { dryRun, disks } = report
  const then = dryRun ? spaceAsPlanned(disk, report) : disk.after
  const name =
    disks.length > 1
      ? `${code(path)} (${holds.join(', ').replace('-', ' ')}): `
      : ''
  return [
    [`${name}${dryRun ? 'now' : 'before'}`, ...cellsOf(before)],
    ...(then === undefined
      ? []
      : [[dryRun ? 'would be' : 'after', ...cellsOf(then, dryRun)]])
  ]
}

function cellsOf(space: Space, estimated = false): string[] {
  const { freeBytes, usedBytes, freeInodes } = space
  const mark = (text: string) => estimate(figure(text), estimated)
  return [
    bar(usedBytes / Math.max(usedBytes + freeBytes, 1)),
    mark(usePercentage(space)),
    mark(formatSize(freeBytes)),
    figure(inodeUsePercentage(space)),
    freeInodes?.toLocaleString('en') ?? ''
  ]
}

/** Without inodes: their number is unknown before the removal. */
function spaceAsPlanned({ holds, before }: Disk, { resources }: Report): Space {
  const planned = resources.filter(({ outcome }) => outcome === 'planned')
  const freed = sum(planned.map((resource) => bytesOn(holds, resource)))
  return {
    freeBytes: before.freeBytes + freed,
    usedBytes: Math.max(before.usedBytes - freed, 0)
  }
}

function bytesOn(
  holds: Disk['holds'],
  { kind, bytes, logBytes = 0 }: Resource
): number {
  const others = (bytes ?? 0) - logBytes
  return (
    (holds.includes(kinds[kind].disk) ? others : 0) +
    (holds.includes('logs') ? logBytes : 0)
  )
}

/** As Use% of `df`. */
function usePercentage({ freeBytes, usedBytes }: Space): string {
  return percentage(usedBytes, usedBytes + freeBytes)
}

/** As IUse% of `df -i`. */
function inodeUsePercentage({ freeInodes = 0, totalInodes }: Space): string {
  return totalInodes === undefined
    ? ''
    : percentage(totalInodes - freeInodes, totalInodes)
}

/** Rounded up, as `df` does: a full disk never looks almost full. */
function percentage(part: number, whole: number): string {
  return `${whole === 0 ? 0 : Math.ceil((part * 100) / whole)} %`
}
