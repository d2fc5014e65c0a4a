import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { defaults } from '../../src/model/inputs.ts'
import { headline } from '../../src/report/headline.ts'
import {
  renderFailure,
  renderSummary,
  type SummaryFacts
} from '../../src/report/summary.ts'
import type { Report, Resource } from '../../src/report/schema.ts'
import { day, facts, makeTestReport, resource } from '../builders.ts'
import { foreignMarkup, hostileTexts, oddCharacters } from '../hostile.ts'

/** Replaces the non-breaking spaces in figures with plain ones. */
const summarise = (of: SummaryFacts) =>
  renderSummary(of).replaceAll('\u00a0', ' ')
const disks: Report['disks'] = [
  {
    path: '/var/lib/docker',
    holds: ['images', 'containers', 'build-cache', 'volumes', 'logs'],
    before: { freeBytes: 9_000_000, usedBytes: 91_000_000 },
    after: { freeBytes: 36_000_000, usedBytes: 64_000_000 }
  }
]

test('the first line summarises the run', () => {
  const report = { ...makeTestReport([resource(), resource()]), disks }
  expect(headline(report)).toBe(
    'Reclaimed 2 MB in 21 s: 2 images. Disk 91 % → 64 % used.'
  )
})

test('the first line of a dry run gives the certain and the possible bytes', () => {
  const planned = [
    resource({ outcome: 'planned', bytesAtMost: 3_000_000 }),
    resource({
      action: 'untag',
      outcome: 'planned',
      bytes: 0,
      removedReferences: ['a:1', 'a:2']
    })
  ]
  const report = {
    ...makeTestReport(planned, { plannedBytes: 1_000_000 }),
    ...{ disks, dryRun: true }
  }
  expect(headline(report)).toBe(
    'Would reclaim 1 MB (up to 3 MB): 1 image; 2 references untagged. Planned in 21 s. Disk 91 % used.'
  )
})

test('the first line counts failures and untagged references, but nothing that was not done', () => {
  const report = makeTestReport([
    resource({ outcome: 'failed', bytes: 0 }),
    resource({ action: 'untag', outcome: 'kept', bytes: 0 })
  ])
  expect(headline(report)).toBe(
    'Reclaimed 0 B in 21 s: nothing was removed. 1 removal failed.'
  )
  const untagged = makeTestReport(
    [resource({ action: 'untag', outcome: 'untagged', bytes: 0 })],
    { untaggedReferences: 1 }
  )
  expect(headline(untagged)).toBe(
    'Reclaimed 0 B in 21 s: 1 reference untagged.'
  )
})

test('the first line formats the duration, and says if there was nothing to do', () => {
  const report = {
    ...makeTestReport([resource()]),
    finishedAt: '2026-01-31T12:07:00.000Z'
  }
  expect(headline(report)).toContain('in 7 min:')
  for (const [end, text] of [
    ['00.450', '0.5 s'],
    ['09.940', '9.9 s'],
    ['09.999', '9 s'],
    ['59.999', '59 s']
  ] as const) {
    const finishedAt = `2026-01-31T12:00:${end}Z`
    expect(headline({ ...report, finishedAt })).toContain(` in ${text}:`)
  }
  expect(
    headline(makeTestReport([resource({ action: 'keep' })], { skipped: true }))
  ).toBe('Nothing to do: 1 resource inspected in 21 s.')
})

test('the first line names the scope, and resources out of scope are not listed as large', () => {
  const outside = resource({
    action: 'keep',
    outcome: 'kept',
    reason: 'out-of-scope',
    heldBy: 'scope',
    references: ['outside:1'],
    ownBytes: 8e6
  })
  const scope = 'pull request 12 of acme/web'
  const report = { ...makeTestReport([resource(), outside]), scope }
  const inputs = { ...defaults, scope: 'pull-request' }
  const summary = summarise(facts([], { report, inputs }))
  expect(summary).toContain(`## Reclaimed 1 MB from ${scope} in 21 s: 1 image.`)
  expect(summary).toContain(
    '| out-of-scope (`scope: pull-request`) | 1 image |'
  )
  expect(summary).not.toContain('| largest |')
  expect(summary).not.toContain('What to change')
  const skipped = {
    ...makeTestReport([outside], { skipped: true }),
    scope
  }
  expect(headline(skipped)).toBe(
    `Nothing to do for ${scope}: 1 resource inspected in 21 s.`
  )
})

test('every resource is counted in exactly one column', () => {
  const outcomes = ['removed', 'untagged', 'kept', 'gone', 'failed'] as const
  const resources = outcomes.flatMap((outcome) => [
    resource({ outcome, bytes: 0 }),
    resource({ outcome, action: 'untag', bytes: 0 })
  ])
  expect(summarise(facts(resources))).toContain(
    '| images | 0 B | 2 | 2 | 2 | 2 | 2 |'
  )
})

test('the reason for keeping resources names the input', () => {
  const kept = resource({
    ...{ kind: 'volume', action: 'keep', outcome: 'kept' },
    ...{ reason: 'protected-label', heldBy: 'protected-labels' },
    ...{ bytes: 0, ownBytes: 31e9, idle: 40 * day }
  })
  expect(summarise(facts([kept]))).toContain(
    '| protected-label (`protected-labels: keep`) | 1 volume | 31 GB | 40 days |'
  )
})

test('failures show the engine’s error message', () => {
  const failed = resource({
    outcome: 'failed',
    detail: 'Error response from daemon: <b>|',
    bytes: 0
  })
  const summary = summarise(facts([failed]))
  expect(summary).toContain('### Failed removals')
  expect(summary).toContain('`Error response from daemon: <b>\\|`')
})

test('unknown sizes are not shown as 0', () => {
  const unknown = resource({ kind: 'volume', bytes: null })
  expect(summarise(facts([unknown]))).toContain('| volumes | unknown | 1 | 0 |')
  expect(summarise(facts([unknown, resource({ kind: 'volume' })]))).toContain(
    '| 1 MB or more |'
  )
  expect(summarise(facts([unknown]))).toMatch(
    /^## Reclaimed an unknown amount in 21 s: 1 volume\./
  )
  const both = facts([unknown, resource({ kind: 'volume' })])
  expect(summarise(both)).toMatch(
    /^## Reclaimed 1 MB or more in 21 s: 2 volumes\./
  )
  const kept = { action: 'keep', outcome: 'kept', bytes: 0 } as const
  const volume = resource({ ...kept, kind: 'volume', reason: 'not-included' })
  expect(summarise(facts([volume]))).toContain(
    '| not-included | 1 volume | unknown |'
  )
  expect(summarise(facts([volume, { ...volume, ownBytes: 5 }]))).toContain(
    '| not-included | 2 volumes | 5 B or more |'
  )
})

test.each([1_000, 20_000])(
  'a summary of 3 × %d resources stays below 1 MiB, and says how many it omits',
  (number) => {
    const resources = Array.from({ length: number }, (_, index) => [
      resource({
        references: [`app:${index}`, `ü${'x'.repeat(300)}:${index}`],
        detail: 'é'.repeat(500)
      }),
      resource({ action: 'keep', outcome: 'kept', name: '`|'.repeat(100) }),
      resource({ outcome: 'failed', detail: 'é'.repeat(500) })
    ]).flat()
    const warnings = Array.from({ length: number }, () => 'é'.repeat(2_000))
    const summary = renderSummary(
      facts(resources, { warnings, error: 'é'.repeat(100_000) })
    )
    expect(Buffer.byteLength(summary)).toBeLessThan(2 ** 20)
    const listed = [...summary.matchAll(/^\|(?: [^|]+ \|)? image \|/gm)].length
    const more = [
      ...summary.matchAll(/^… and (\d+) more, all in the report/gm)
    ].reduce((total, [, left]) => total + Number(left), 0)
    expect(listed + more).toBe(3 * number)
  }
)

test('after a failure before the plan, the summary shows only the failure', () => {
  const summary = renderFailure('An input is not valid.\nuntil: got "`<x>|"')
  expect(summary).toContain('## Nothing was removed.')
  expect(summary).toContain('``until: got "`<x>\\|"``')
})

test('the summary lists the removed resources, largest first, and the largest kept ones by their own bytes', () => {
  const removed = [1, 7, 3, 5, 2, 4].map((megabytes) =>
    resource({ references: [`app:${megabytes}`], bytes: megabytes * 1e6 })
  )
  const kept = resource({
    action: 'keep',
    outcome: 'kept',
    reason: 'keep-last',
    detail: 'among the newest 3 of web',
    references: ['web:1', 'web:2', 'web@sha256:1'],
    ownBytes: 8e6
  })
  const summary = summarise(facts([...removed, kept]))
  expect(
    [...summary.matchAll(/^\| \d MB \| image \| `app:(\d)` \|/gm)].map(
      ([, size]) => size
    )
  ).toEqual(['7', '5', '4', '3', '2', '1'])
  expect(summary).toContain(
    '| image `web:1, web:2` | 8 MB | `keep-last: among the newest 3 of web` |'
  )
})

test('IDs are shortened as in Docker', () => {
  const id = 'a'.repeat(64)
  const untagged = resource({ name: `sha256:${id}`, references: [] })
  expect(summarise(facts([untagged]))).toContain(`\`sha256:${'a'.repeat(12)}\``)
})

describe('what to change to free more', () => {
  const kept = (
    heldBy: Resource['heldBy'],
    ownBytes: number | undefined,
    parts: Partial<Resource> = {}
  ) =>
    resource({
      ...{ kind: 'volume', action: 'keep', outcome: 'kept', bytes: 0 },
      ...(heldBy && { heldBy }),
      ...(ownBytes !== undefined && { ownBytes }),
      ...parts
    })
  /** Renders the rows of the table. */
  const rowsOf = (...args: Parameters<typeof facts>) =>
    /^### What to change to free more\n\n.*\n.*\n((?:\|.*\n)+)/m
      .exec(summarise(facts(...args)))?.[1]
      ?.trim()
      .split('\n') ?? []

  test('the inputs that keep most come first, five at most', () => {
    const all = [
      kept('protected-labels', 4e9, { reason: 'protected-label' }),
      kept('protected-images', 6e9, { reason: 'protected-image' }),
      kept('include-volumes', undefined, { reason: 'not-included' }),
      kept('include-volumes', 5e9, { reason: 'named-volume' }),
      kept('include-builders', 3e9, { kind: 'builder' }),
      kept('include-containers', 2e9, { kind: 'container' }),
      kept(undefined, 9e9, { reason: 'in-use' }),
      kept('scope', 9e9, { reason: 'out-of-scope' }),
      kept('include-networks', undefined, { kind: 'network' })
    ]
    expect(rowsOf(all)).toEqual([
      '| `protected-images: ` | fewer patterns | 6 GB | 1 volume | 3 days |',
      '| `include-volumes: false` | `anonymous` or `all` | 5 GB or more | 2 volumes | 3 days |',
      '| `protected-labels: keep` | fewer labels | 4 GB | 1 volume | 3 days |',
      '| `include-builders: false` | `stopped` or `all` | 3 GB | 1 builder | 3 days |',
      '| `include-containers: true` | `true` | 2 GB | 1 container | 3 days |'
    ])
    expect(rowsOf(all.slice(2, 3))).toEqual([
      '| `include-volumes: false` | `anonymous` or `all` | unknown | 1 volume | 3 days |'
    ])
    expect(rowsOf(all.slice(6))).toEqual([])
  })

  test('what until keeps as well needs both changes', () => {
    const change = (
      until: string,
      idle: number | null,
      parts: Partial<Resource> = {},
      scope = 'engine'
    ) => {
      const one = kept('keep-last', 1, { idle, ...parts })
      const report = { ...makeTestReport([one]), scope }
      const inputs = { ...defaults, until }
      return rowsOf([], { report, inputs })[0]?.split(' | ')[1]
    }
    const both = 'a smaller number, and a shorter `until`'
    expect(change('24h', day - 1)).toBe(both)
    expect(change('24h', null)).toBe(both)
    expect(change('2026-01-30', day)).toBe(both)
    for (const alone of [
      change('24h', day),
      change('2026-01-31', day),
      change('0s', 0),
      change('24h', 0, {}, 'pull request 1 of acme/web'),
      change('24h', 0, { action: 'remove' }),
      change('24h', null, { kind: 'build-cache' })
    ])
      expect(alone).toBe('a smaller number')
    expect(change('24h', 0, { heldBy: 'until' })).toBe('a shorter time')
  })

  test('only values that keep less are suggested', () => {
    const change = (text: string) => {
      const inputs = { ...defaults, 'include-volumes': text }
      return rowsOf([kept('include-volumes', 1)], { inputs })[0]
    }
    expect(change('False')).toContain('| `anonymous` or `all` |')
    for (const text of ['anonymous', 'true'])
      expect(change(text)).toContain('| `all` |')
  })
})

test('a dry run uses the conditional', () => {
  const planned = [
    resource({
      outcome: 'planned',
      bytesAtMost: 3_000_000,
      digests: ['app@sha256:1']
    }),
    resource({ kind: 'volume', outcome: 'planned' }),
    resource({ action: 'keep', outcome: 'kept', reason: 'recent', ownBytes: 9 })
  ]
  const report = {
    ...makeTestReport(planned),
    ...{ disks, dryRun: true }
  }
  const summary = summarise(facts([], { report }))
  expect(summary).not.toMatch(/removed \||freed \||is kept|Kept|after/)
  expect(summary).toContain('| would be | `███████████ ` | ≈ 89 % | ≈ 11 MB |')
  expect(summary).toContain('| 1 MB, up to 3 MB | image | `app:1` |')
  expect(summary).toContain('pie title Would be freed, by repository')
})

test('the answer comes first, the lists and notes are folded at the end', () => {
  const resources = [
    resource({ digests: ['app@sha256:1'] }),
    resource({ kind: 'volume' }),
    resource({ outcome: 'failed' }),
    resource({
      ...{ kind: 'volume', action: 'keep', outcome: 'kept' },
      ...{ reason: 'named-volume', heldBy: 'include-volumes', ownBytes: 9 }
    })
  ]
  const summary = summarise(
    facts([], {
      report: { ...makeTestReport(resources), disks },
      warnings: ['Careful.'],
      notes: ['Logs | are not counted.'],
      error: '1 removal failed.'
    })
  )
  const parts = [
    ...['## Reclaimed 2 MB', '> [!CAUTION]', '### Failed removals'],
    ...['> [!WARNING]', '| disk |', '|  | freed |'],
    ...['### What to change to free more', '```mermaid'],
    '<details><summary>Removed, largest first: 2</summary>',
    '<details><summary>Why the rest is kept</summary>',
    '<details><summary>Kept: 1</summary>',
    '<details><summary>How to restore a removed image</summary>',
    '<details><summary>Notes</summary>\n\n- `Logs \\| are not counted.`',
    'Docker Reclaim on engine `runner`'
  ]
  const places = parts.map((part) => summary.indexOf(part))
  expect(places).not.toContain(-1)
  expect(places).toEqual(places.toSorted((a, b) => a - b))
})

test('with nothing to do, there is no chart, but the reasons for keeping everything', () => {
  const report = makeTestReport(
    [resource({ action: 'keep', outcome: 'kept', reason: 'recent', bytes: 0 })],
    { skipped: true }
  )
  const summary = summarise(facts([], { report: { ...report, disks } }))
  expect(summary).not.toMatch(/█|mermaid|largest/)
  expect(summary).toContain('<summary>Why everything is kept</summary>')
})

describe('how to pull an image again', () => {
  const digest = `ghcr.io/acme/web@sha256:${'0'.repeat(64)}`
  const pulled = resource({
    references: ['ghcr.io/acme/web:1', digest],
    digests: [digest]
  })
  const line = `\ndocker pull ${digest} # ghcr.io/acme/web:1\n`

  test('by digest, if a registry has it; the others are counted', () => {
    const summary = summarise(facts([pulled, resource()]))
    expect(summary).toContain(line)
    expect(summary).toContain(
      '1 image without a registry digest: only a new build restores it.'
    )
    expect(summary).not.toContain('if it was pushed')
  })

  test('on the containerd store, only if it was pushed', () => {
    const report = makeTestReport([pulled])
    report.engine.store = 'containerd'
    const summary = summarise(facts([], { report }))
    expect(summary).toContain(
      'Pull an image again by its digest, if it was pushed:'
    )
    expect(summary).toContain(line)
  })

  test('without shell metacharacters', () => {
    const evil = resource({
      references: ['a; rm -rf ~:1', 'ok:1'],
      digests: ['a$(x)@sha256:0', `ok@sha256:0`]
    })
    expect(summarise(facts([evil]))).toContain(
      '\ndocker pull ok@sha256:0 # ok:1\n'
    )
    const worse = resource({ digests: ['`x`@sha256:0'] })
    expect(summarise(facts([worse]))).not.toContain('docker pull')
  })
})

/** Renders a summary with the given text everywhere that other people's text can be. */
function renderHostile(text: string): string {
  const names = { id: text, name: text, detail: text, references: [text, text] }
  const resources = [
    resource(names),
    resource({ ...names, kind: 'volume', bytes: null }),
    resource({ ...names, outcome: 'failed' }),
    resource({ ...names, action: 'untag', removedReferences: [text] }),
    ...(['protected-label', 'protected-image', 'recent'] as const).map(
      (reason) =>
        resource({
          ...{ ...names, kind: 'volume', action: 'keep', outcome: 'kept' },
          ...{ reason, heldBy: 'protected-images', ownBytes: 1 }
        })
    )
  ]
  const engine = { name: text, id: text, version: text, store: text }
  const inputs = Object.fromEntries(
    Object.keys(defaults).map((name) => [name, text])
  ) as typeof defaults
  return renderSummary(
    facts(resources, {
      report: { ...makeTestReport(resources), engine },
      ...{ inputs, warnings: [text, text], notes: [text], error: text }
    })
  )
}

test('other people’s text renders only as code', () => {
  // Make sure that the check itself works.
  expect(foreignMarkup('evil `evil` <b>x</b>')).toEqual([
    'evil ',
    '<b>',
    '</b>'
  ])
  expect(
    foreignMarkup('|  | name | why |\n|-|-|-|\n| image | `a | b` | c |')
  ).not.toEqual([])
  for (const text of hostileTexts) {
    for (const summary of [renderHostile(text), renderFailure(text)]) {
      expect([text, foreignMarkup(summary)]).toEqual([text, []])
      expect([text, oddCharacters(summary)]).toEqual([text, []])
    }
  }
})

test('combinations of malicious text render only as code', () => {
  const parts = [
    ...hostileTexts,
    ...['`', '``', '|', '\\', '\\|', '\n', ' ', '*', '_', '[', ']', '(', ')'],
    ...['<', '>', '&', '!', '#', '\t', '\u00a0', '\ud83d', '\ude00']
  ]
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...parts), { maxLength: 12 }),
      (text) => {
        expect(foreignMarkup(renderHostile(`${text.join('')}evil`))).toEqual([])
        expect(foreignMarkup(renderHostile(text.join('')))).toEqual([])
      }
    ),
    { numRuns: 500 }
  )
})
