import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { defaults } from '../../src/model/inputs.ts'
import { headline } from '../../src/report/headline.ts'
import {
  renderFailure,
  renderSummary,
  type SummaryFacts
} from '../../src/report/summary.ts'
import type { Report } from '../../src/report/schema.ts'
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
    'Reclaimed 2 MB: 2 images in 21 s. Disk 91 % → 64 %.'
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
    'Would reclaim 1 MB (up to 3 MB): 1 image, 2 references in 21 s. Disk 91 % used.'
  )
})

test('the first line counts failures and untagged references, but nothing that was not done', () => {
  const report = makeTestReport([
    resource({ outcome: 'failed', bytes: 0 }),
    resource({ action: 'untag', outcome: 'kept', bytes: 0 })
  ])
  expect(headline(report)).toBe(
    'Reclaimed 0 B: nothing went in 21 s. 1 failed.'
  )
  const untagged = makeTestReport(
    [resource({ action: 'untag', outcome: 'untagged', bytes: 0 })],
    { untaggedReferences: 1 }
  )
  expect(headline(untagged)).toBe('Reclaimed 0 B: 1 reference in 21 s.')
})

test('the first line formats the duration, and says if there was nothing to do', () => {
  const report = {
    ...makeTestReport([resource()]),
    finishedAt: '2026-01-31T12:07:00.000Z'
  }
  expect(headline(report)).toContain('in 7 min.')
  for (const [end, text] of [
    ['00.450', '0.5 s'],
    ['09.940', '9.9 s'],
    ['09.999', '9 s'],
    ['59.999', '59 s']
  ] as const) {
    const finishedAt = `2026-01-31T12:00:${end}Z`
    expect(headline({ ...report, finishedAt })).toContain(` in ${text}.`)
  }
  expect(
    headline(makeTestReport([resource({ action: 'keep' })], { skipped: true }))
  ).toBe('Nothing to do: 1 resource looked at in 21 s.')
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
  expect(summary).toContain(`## Reclaimed 1 MB of ${scope}: 1 image in 21 s.`)
  expect(summary).toContain('| out-of-scope (`scope: pull-request`) | 1 |')
  expect(summary).not.toContain('the largest that stay')
  const skipped = {
    ...makeTestReport([outside], { skipped: true }),
    scope
  }
  expect(headline(skipped)).toBe(
    `Nothing to do for ${scope}: 1 resource looked at in 21 s.`
  )
})

test('every resource is counted in exactly one column', () => {
  const outcomes = ['removed', 'untagged', 'kept', 'gone', 'failed'] as const
  const resources = outcomes.flatMap((outcome) => [
    resource({ outcome, bytes: 0 }),
    resource({ outcome, action: 'untag', bytes: 0 })
  ])
  expect(summarise(facts(resources))).toContain(
    '| images | 2 | 2 | 2 | 2 | 2 | 0 B |'
  )
})

test('the reason for keeping resources names the input', () => {
  const kept = resource({
    action: 'keep',
    outcome: 'kept',
    reason: 'keep-last',
    heldBy: 'keep-last',
    bytes: 0,
    idle: 40 * day
  })
  const summary = summarise(
    facts([kept], {
      held: new Map([['keep-last', { bytes: 31e9, unknown: false }]])
    })
  )
  expect(summary).toContain(
    '| keep-last (`keep-last: 3`) | 1 | 31 GB | 40 days |'
  )
})

test('failures show the engine’s error message', () => {
  const failed = resource({
    outcome: 'failed',
    detail: 'Error response from daemon: <b>|',
    bytes: 0
  })
  const summary = summarise(facts([failed]))
  expect(summary).toContain('### Failed')
  expect(summary).toContain('`Error response from daemon: <b>\\|`')
})

test('unknown sizes are not shown as 0', () => {
  const unknown = resource({ kind: 'volume', bytes: null })
  expect(summarise(facts([unknown]))).toContain(
    '| volumes | 1 | 0 | 0 | unknown |'
  )
  expect(summarise(facts([unknown, resource({ kind: 'volume' })]))).toContain(
    '| 1 MB or more |'
  )
  expect(summarise(facts([unknown]))).toMatch(
    /^## Reclaimed an unknown amount: 1 volume /
  )
  const both = facts([unknown, resource({ kind: 'volume' })])
  expect(summarise(both)).toMatch(/^## Reclaimed 1 MB or more: 2 volumes /)
  const kept = { action: 'keep', outcome: 'kept', bytes: 0 } as const
  const volume = resource({ ...kept, kind: 'volume', reason: 'not-included' })
  const held = (bytes: number) =>
    summarise(
      facts([volume], {
        held: new Map([['not-included', { bytes, unknown: true }]])
      })
    )
  expect(held(0)).toContain('| not-included | 1 | unknown |')
  expect(held(5)).toContain('| not-included | 1 | 5 B or more |')
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
      ...summary.matchAll(/^… and (\d+) more: the report/gm)
    ].reduce((total, [, left]) => total + Number(left), 0)
    expect(listed + more).toBe(3 * number)
  }
)

test('after a failure before the plan, the summary shows only the failure', () => {
  const summary = renderFailure('An input is not valid.\nuntil: got "`<x>|"')
  expect(summary).toContain('## Nothing was removed.')
  expect(summary).toContain('``until: got "`<x>\\|"``')
})

test('the summary lists the largest removed resources, and the largest kept ones by their own bytes', () => {
  const went = [1, 7, 3, 5, 2, 4].map((megabytes) =>
    resource({ references: [`app:${megabytes}`], bytes: megabytes * 1e6 })
  )
  const stays = resource({
    action: 'keep',
    outcome: 'kept',
    reason: 'keep-last',
    detail: 'among the newest 3 of web',
    references: ['web:1', 'web:2', 'web@sha256:1'],
    ownBytes: 8e6
  })
  const summary = summarise(facts([...went, stays]))
  expect(
    [...summary.matchAll(/^\| image `app:(\d)` \| \d MB/gm)].map(
      ([, size]) => size
    )
  ).toEqual(['7', '5', '4', '3', '2'])
  expect(summary).toContain(
    '| image `web:1, web:2` | 8 MB | `keep-last: among the newest 3 of web` |'
  )
})

test('IDs are shortened as in Docker', () => {
  const id = 'a'.repeat(64)
  const untagged = resource({ name: `sha256:${id}`, references: [] })
  expect(summarise(facts([untagged]))).toContain(`\`sha256:${'a'.repeat(12)}\``)
})

test('a reason lists every input behind it', () => {
  const left = (['include-volumes', 'include-images', undefined] as const).map(
    (heldBy) =>
      resource({
        ...{ action: 'keep', outcome: 'kept', reason: 'not-included' },
        ...(heldBy && { heldBy })
      })
  )
  expect(summarise(facts(left))).toContain(
    '| not-included (`include-volumes: false`, `include-images: true`) | 3 |'
  )
  expect(summarise(facts(left.slice(2)))).toContain('| not-included | 1 |')
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
  expect(summary).not.toMatch(/removed|freed \||went|stays\b|after/)
  expect(summary).toContain('| would be | `███████████ ` | ≈ 89 % | ≈ 11 MB |')
  expect(summary).toContain('| image `app:1` | 1 MB, up to 3 MB |')
  expect(summary).toContain('pie title Would be freed, by repository')
})

test('notes follow the first line', () => {
  const notes = ['Logs | are not counted.']
  expect(summarise(facts([], { notes }))).toContain(
    '> [!NOTE]\n> `Logs \\| are not counted.`'
  )
})

test('with nothing to do, there is no chart, but the reasons for keeping everything', () => {
  const report = makeTestReport(
    [resource({ action: 'keep', outcome: 'kept', reason: 'recent', bytes: 0 })],
    { skipped: true }
  )
  const summary = summarise(facts([], { report: { ...report, disks } }))
  expect(summary).not.toMatch(/█|mermaid|largest/)
  expect(summary).toContain('### Why everything stays')
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
    expect(summary).toContain('1 image had no digest of a registry')
    expect(summary).not.toContain('if it was pushed')
  })

  test('on the containerd store, only if it was pushed', () => {
    const report = makeTestReport([pulled])
    report.engine.store = 'containerd'
    const summary = summarise(facts([], { report }))
    expect(summary).toContain('comes back with its digest, if it was pushed:')
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
        resource({ ...names, action: 'keep', outcome: 'kept', reason })
    )
  ]
  const engine = { name: text, id: text, version: text, store: text }
  const inputs = Object.fromEntries(
    Object.keys(defaults).map((name) => [name, text])
  ) as typeof defaults
  return renderSummary(
    facts(resources, {
      report: { ...makeTestReport(resources), engine },
      ...{ inputs, warnings: [text, text], error: text }
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
