import { readSize } from './json.ts'
import type { CacheRecord } from '../model/inventory.ts'
import { parseHumanAge, parseTime, sum } from '../units.ts'

/** One record from what a command says of it; undefined where that is not understood. */
export function makeRecord({
  id,
  size,
  inUse,
  shared,
  type,
  description,
  parents,
  idle = { least: 0, most: Infinity }
}: {
  id: string
  size: string
  inUse: string
  shared: string
  type: string
  description: string
  parents: string[]
  idle: CacheRecord['idle'] | undefined
}): CacheRecord | undefined {
  const bytes = readSize(size)
  const understood = [inUse, shared].every((one) => /^(true|false)$/.test(one))
  if (id === '' || bytes === undefined || !understood) return undefined
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

/** What some of the records say is worth nothing without the others. */
export function allOrNone(
  records: readonly (CacheRecord | undefined)[]
): CacheRecord[] | undefined {
  const understood = records.filter((one) => one !== undefined)
  return understood.length === records.length ? understood : undefined
}

/**
 * Reads `buildx du --verbose`: blocks of "Key: value" lines, then totals. Undefined where that is not all there is: a
 * description is what a build ran, other people's text of several lines, and could pass for more records.
 */
export function readCacheRecords(text: string): CacheRecord[] | undefined {
  if (text.trim() === '') return []
  const blocks = text
    .split(/\n\s*\n(?=(?:ID|Shared|Private|Reclaimable|Total):)/)
    .map(fieldReader)
  const total = readSize(blocks.pop()?.('Total') ?? '')
  const records = allOrNone(
    blocks.map((field) =>
      makeRecord({
        id: field('ID'),
        size: field('Size'),
        inUse: { true: 'false', false: 'true' }[field('Reclaimable')] ?? '',
        shared: field('Shared'),
        type: field('Type'),
        description: field('Description'),
        // Older buildx: `Parent: a,b`.
        parents: `${field('Parents')} ${field('Parent')}`
          .split(/[\s,]+/)
          .filter(Boolean),
        idle: parseHumanAge(field('Last used'))
      })
    )
  )
  const added = sum(records?.map(({ bytes }) => bytes) ?? [])
  // All of these are rounded to four digits.
  return total !== undefined && Math.abs(added - total) <= total / 500
    ? records
    : undefined
}

/** Reads the fields of a block; one that it has more than once is empty. */
function fieldReader(block: string): (name: string) => string {
  const lines = block
    // Free text stands here, up to the next field: only its first line is taken.
    .replace(/^(Description:.*)[^]*?(?=\nUsage count:)/m, '$1')
    // The only list of all these.
    .replace(/\n - /g, ' ')
    .split('\n')
    .map((line) => /^([^:]*):(.*)$/.exec(line) ?? [])
  const fields = Map.groupBy(lines, ([, name = '']) => name)
  return (name) => {
    const [line, ...more] = fields.get(name) ?? []
    return more.length === 0 ? (line?.[2] ?? '').trim() : ''
  }
}

/** Records of what a build made say what made them; those of an image that it began with say where that came from, or nothing. */
function isBase(type: string, description: string): boolean {
  return type === 'regular' && /^(?:$|from local|pulled from)/.test(description)
}

/** Cache mounts, and the clones that BuildKit checks contexts out of. */
function isRewritable(type: string, description: string): boolean {
  return type === 'exec.cachemount' || /^shared git repo\b/.test(description)
}

/** `2026-01-31 12:00:00.123456789 +0000 UTC`, as Go prints a time. */
export function readLogTime(text: string): number | undefined {
  const [, date = '', time = '', zone = ''] =
    /^(\S+) (\S+) ([+-]\d{4})/.exec(text) ?? []
  return parseTime(`${date}T${time}${zone.slice(0, 3)}:${zone.slice(3)}`)
}
