import type { z } from 'zod'
import type { CacheRecord } from '../model/inventory.ts'
import { parseHumanAge, parseTime, sum } from '../units.ts'
import { readSize } from './json.ts'
import type { diskUsageSchema } from './schemas.ts'

type RawRecord = {
  id: string
  size: string
  inUse: string
  shared: string
  type: string
  description: string
  parents: string[]
  idle: CacheRecord['idle'] | undefined
}

/** Reads `buildx du --verbose`; undefined if the sizes do not add up: a description can look like more records. */
export function readCacheRecords(text: string): CacheRecord[] | undefined {
  if (text.trim() === '') return []
  const blocks = text
    .split(/\n\s*\n(?=(?:ID|Shared|Private|Reclaimable|Total):)/)
    .map(fieldReader)
  const total = readSize(blocks.pop()?.('Total') ?? '')
  const records = allOrNone(blocks.map(readBlock))
  const added = sum(records?.map(({ bytes }) => bytes) ?? [])
  // All sizes are rounded to four digits.
  return total !== undefined && Math.abs(added - total) <= total / 500
    ? records
    : undefined
}

/** Reads the build cache of `system df`; `now` is the engine's clock. */
export function readUsageRecords(
  rows: z.output<typeof diskUsageSchema>['BuildCache'],
  now: number
): CacheRecord[] | undefined {
  return allOrNone(
    rows.map((row) => {
      const usedAt = readLogTime(row.LastUsedAt || row.CreatedAt)
      const idle = usedAt && Math.max(now - usedAt, 0)
      return makeRecord({
        id: row.ID,
        size: row.Size,
        inUse: row.InUse,
        shared: row.Shared,
        type: row.CacheType,
        description: row.Description,
        parents: row.Parent === '' ? [] : [row.Parent],
        idle: idle === undefined ? undefined : { least: idle, most: idle }
      })
    })
  )
}

/** Undefined if any record cannot be read: the others are of no use without it. */
function allOrNone(
  records: readonly (CacheRecord | undefined)[]
): CacheRecord[] | undefined {
  const readable = records.filter((one) => one !== undefined)
  return readable.length === records.length ? readable : undefined
}

function readBlock(field: (name: string) => string): CacheRecord | undefined {
  return makeRecord({
    id: field('ID'),
    size: field('Size'),
    inUse: { true: 'false', false: 'true' }[field('Reclaimable')] ?? '',
    shared: field('Shared'),
    type: field('Type'),
    description: field('Description'),
    // Older versions of buildx print `Parent: a,b`.
    parents: `${field('Parents')} ${field('Parent')}`
      .split(/[\s,]+/)
      .filter(Boolean),
    idle: parseHumanAge(field('Last used'))
  })
}

/** A reader of the fields of a block. A field that occurs more than once is empty. */
function fieldReader(block: string): (name: string) => string {
  const lines = block
    // Only the first line of a description, which is free text.
    .replace(/^(Description:.*)[^]*?(?=\nUsage count:)/m, '$1')
    // The parents: the only list.
    .replace(/\n - /g, ' ')
    .split('\n')
    .map((line) => /^([^:]*):(.*)$/.exec(line) ?? [])
  const fields = Map.groupBy(lines, ([, name = '']) => name)
  return (name) => {
    const [line, ...more] = fields.get(name) ?? []
    return more.length === 0 ? (line?.[2] ?? '').trim() : ''
  }
}

function makeRecord({
  id,
  size,
  inUse,
  shared,
  type,
  description,
  parents,
  idle = { least: 0, most: Infinity }
}: RawRecord): CacheRecord | undefined {
  const bytes = readSize(size)
  const readable = [inUse, shared].every((one) => /^(true|false)$/.test(one))
  if (id === '' || bytes === undefined || !readable) return undefined
  return {
    id,
    parents,
    bytes,
    idle,
    inUse: inUse === 'true',
    shared: shared === 'true',
    base: isBase(type, description),
    internal: type === 'internal' || type === 'frontend',
    rewritable: isRewritable(type, description)
  }
}

/** A record of a base image is described by its source, or not at all; one made by a build, by its instruction. */
function isBase(type: string, description: string): boolean {
  return type === 'regular' && /^(?:$|from local|pulled from)/.test(description)
}

/** Cache mounts, and the clones that BuildKit checks contexts out of. */
function isRewritable(type: string, description: string): boolean {
  return type === 'exec.cachemount' || /^shared git repo\b/.test(description)
}

/** Reads `2026-01-31 12:00:00.123456789 +0000 UTC`, as Go prints a time. */
function readLogTime(text: string): number | undefined {
  const [, date = '', time = '', zone = ''] =
    /^(\S+) (\S+) ([+-]\d{4})/.exec(text) ?? []
  return parseTime(`${date}T${time}${zone.slice(0, 3)}:${zone.slice(3)}`)
}
