import { expect, test } from '@jest/globals'
import type { Policy } from '../../src/policy/policy.ts'
import type { Report, Resource } from '../../src/report/report.ts'
import {
  headline,
  renderFailure,
  renderSummary,
  type SummaryFacts
} from '../../src/report/summary.ts'

const policy: Policy = {
  keepLast: 3,
  until: { duration: 86_400_000 },
  protectedLabels: [],
  protectedImages: [],
  includeContainers: true,
  includeImages: true,
  includeNetworks: true,
  includeVolumes: 'none',
  includeBuildCache: true,
  buildCacheKeep: undefined
}

function image(index: number, parts: Partial<Resource> = {}): Resource {
  return {
    kind: 'image',
    id: `sha256:${index}`,
    name: `app:${index}`,
    references: [`app:${index}`],
    action: 'remove',
    outcome: 'removed',
    reason: 'expired',
    detail: 'created 3 days ago',
    bytes: 1_000_000,
    idle: 3 * 86_400_000,
    ...parts
  }
}

function facts(
  resources: Resource[],
  parts: Partial<SummaryFacts> = {},
  report: Partial<Report> = {}
): SummaryFacts {
  const removed = resources.filter(({ outcome }) => outcome === 'removed')
  return {
    report: {
      version: 1,
      dryRun: false,
      engine: {
        name: 'runner-7',
        id: 'id',
        version: '28.5.2',
        store: 'overlay2'
      },
      startedAt: '2026-01-31T12:00:00.000Z',
      finishedAt: '2026-01-31T12:00:21.000Z',
      resources,
      totals: {
        plannedBytes: 0,
        reclaimedBytes: removed.reduce(
          (sum, { bytes }) => sum + (bytes ?? 0),
          0
        ),
        removedContainers: 0,
        removedImages: removed.length,
        untaggedReferences: 0,
        removedNetworks: 0,
        removedVolumes: 0,
        failed: 0,
        freeBytesBefore: null,
        freeBytesAfter: null,
        skipped: false
      },
      ...report
    },
    policy,
    disk: { before: undefined, after: undefined },
    held: new Map(),
    warnings: [],
    error: undefined,
    ...parts
  }
}

test('the first line is the answer', () => {
  const disk = {
    before: { free: 9, size: 100 },
    after: { free: 36, size: 100 }
  }
  expect(headline(facts([image(1), image(2)], { disk }))).toBe(
    'Reclaimed 2 MB: 2 images in 21.0 s. Disk 91 % → 64 %.'
  )
})

test('why the rest stays is said with the input that holds it', () => {
  const kept = image(1, {
    action: 'keep',
    outcome: 'kept',
    reason: 'keep-last',
    bytes: 0,
    idle: 40 * 86_400_000
  })
  const summary = renderSummary(
    facts([kept], { held: new Map([['keep-last', 31e9]]) })
  )
  expect(summary).toContain(
    '| keep-last (`keep-last: 3`) | 1 | 31 GB | 40 days |'
  )
})

test('failures stand there with the words of the engine', () => {
  const failed = image(1, {
    outcome: 'failed',
    detail: 'Error response from daemon: <b>|',
    bytes: 0
  })
  const summary = renderSummary(facts([failed]))
  expect(summary).toContain('Failed: 1')
  expect(summary).toContain('`expired: Error response from daemon: <b>\\|`')
})

test.each([1_000, 20_000])(
  'a summary of %d resources stays below 1 MiB, and says how many it left out',
  (number) => {
    const resources = Array.from({ length: number }, (_, index) => [
      image(index, {
        references: [`app:${index}`, `ü${'x'.repeat(300)}:${index}`],
        detail: 'é'.repeat(500)
      }),
      image(index, { action: 'keep', outcome: 'kept', name: '`|'.repeat(100) }),
      image(index, { outcome: 'failed', detail: 'é'.repeat(500) })
    ]).flat()
    const warnings = Array.from({ length: number }, () => 'é'.repeat(2_000))
    const summary = renderSummary(
      facts(resources, { warnings, error: 'é'.repeat(100_000) })
    )
    expect(Buffer.byteLength(summary)).toBeLessThan(2 ** 20)
    const listed = [...summary.matchAll(/^\| image \|/gm)].length
    const more = [
      ...summary.matchAll(/^… and (\d+) more: the report/gm)
    ].reduce((sum, [, count]) => sum + Number(count), 0)
    expect(listed + more).toBe(3 * number)
  }
)

test('a failure before the plan is all that the summary says', () => {
  const summary = renderFailure('An input is not valid.\nuntil: got "`<x>|"')
  expect(summary).toContain('**Nothing was removed.**')
  expect(summary).toContain('``until: got "`<x>\\|"``')
})
