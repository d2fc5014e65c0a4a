import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { exists } from '../../../scripts/engines/packages.ts'
import type { Step } from '../../../scripts/engines/step.ts'
import { inputsIn } from '../../workflows.ts'
import { without, type Contents } from '../harness/contents.ts'
import { useEngine } from '../harness/engine.ts'
import { expectCleanFailure, resource } from '../harness/report.ts'
import { clockMoved, day, hour } from '../harness/standIn.ts'
import { everything, oldImage } from '../harness/things.ts'

const tests = useEngine()
const { docker, load, build, create, step } = tests
const { contents, folder, dockerThat, overflowLog } = tests

/** Images of one repository with the given tags, built a day apart, the oldest first. */
const imagesOf = (repository: string, ...tags: string[][]) =>
  tags.map((ofImage, index) => ({
    ...oldImage(`${repository}-${index}`),
    references: ofImage.map((tag) => `${repository}:${tag}`),
    created: new Date(Date.UTC(2024, 4, 1 + index)).toISOString()
  }))

/** The tags `name-1`, `name-2` and so on, each for its own image. */
const numbered = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => [`${name}-${index + 1}`])

/** Runs the step some seconds later by the engine's clock, with the memory of earlier runs. */
const stepAfter = async (seconds: number, inputs: Record<string, string>) =>
  step({
    ...{ ...inputs, 'state-dir': folder() },
    docker: await dockerThat(clockMoved(seconds))
  })

/** The summary, with spaces that may break. */
const summaryOf = ({ summary }: Step) => summary.replaceAll('\u00a0', ' ')

const figuresOf = ({ report }: Step) =>
  report?.rules?.map(({ line, matched, removed, kept, bytes }) => [
    ...[line, matched, removed, kept, bytes]
  ])

test('the first matching rule decides each tag: production tags stay when development tags of their images go', async () => {
  await load(
    imagesOf('app', ['prod-1', 'dev-1'], ['dev-2'], ['dev-3'], ['dev-4'])
  )
  // With one count for both rules, or with rules that add up, prod-1 would go with the oldest development images.
  const rules = `**:prod-*  keep-last=1

    app:dev-*  keep-last=2  # not production
    app:*-1    until=90d keep-last=9`

  const done = await step({ ...everything, rules })

  expect(done.exitCode).toBe(0)
  expect((await contents()).references).toEqual([
    ...['app:dev-3', 'app:dev-4', 'app:prod-1', 'busybox:1']
  ])
  const rule = 'rule 3 `app:dev-*`: keep-last 2'
  expect(resource(done, 'app:prod-1')).toMatchObject({
    ...{ action: 'untag', outcome: 'untagged', rule: 3 },
    removedReferences: ['app:dev-1'],
    detail: expect.stringMatching(
      /^loaded \d+ s ago; rule 3 .*; keeps app:prod-1$/
    )
  })
  expect(resource(done, 'app:dev-2')).toMatchObject({
    ...{ outcome: 'removed', rule: 3 },
    detail: expect.stringContaining(rule)
  })
  expect(resource(done, 'app:dev-3')).toMatchObject({
    ...{ outcome: 'kept', reason: 'keep-last', rule: 3 },
    detail: `among the newest 2 of app; ${rule}`
  })
  expect(figuresOf(done)).toEqual([
    [1, 1, 0, 1, 0],
    [3, 4, 2, 2, 1_000],
    [4, 0, 0, 0, 0]
  ])
  expect(done.stdout).toContain(`\n${rule}; decides 4 resources\n`)
  expect(done.stdout).toContain(
    'line 4 (app:*-1) decides nothing: everything that it matches is decided by lines 1, 3.'
  )
  expect(done.summary).toContain('<summary>Rules: 3</summary>')
  expect(summaryOf(done)).toContain(
    '| 3 | `app:dev-* keep-last=2` | 4 | 2 | 2 | 1 kB |'
  )
})

test('an excluded tag is kept, and its image still counts for the tags that a later rule decides', async () => {
  await load([
    ...imagesOf('app', ['latest'], ['1'], ['2'], ['3', 'stable']),
    ...imagesOf('old', ['latest', '1'], ['2'], ['3'])
  ])

  const done = await step({
    ...everything,
    rules: `**:latest  keep
      **:stable  keep
      app:*      keep-last=2
      old        keep-last=2`
  })

  expect(done.exitCode).toBe(0)
  expect((await contents()).references).toEqual([
    ...['app:2', 'app:3', 'app:latest', 'app:stable', 'busybox:1'],
    ...['old:2', 'old:3', 'old:latest']
  ])
  expect(resource(done, 'app:latest')).toMatchObject({
    ...{ action: 'keep', reason: 'rule', rule: 1 },
    detail: 'rule 1 `**:latest`: keep'
  })
})

test('containers, networks and volumes follow rules by name, without labels', async () => {
  const make = async (name: string) => {
    await create(name, 'busybox:1', 'true')
    await docker('network', 'create', name)
    await docker('volume', 'create', name)
  }
  for (const name of ['ci-1', 'job', 'pgdata-main']) await make(name)
  const inputs = {
    ...{ ...everything, 'include-volumes': 'all', until: '7d' },
    rules: ['container', 'network', 'volume']
      .map((kind) => `${kind} pgdata* keep\n${kind} ci-? until=1d`)
      .join('\n')
  }
  const expectNames = async (names: string[]) => {
    expect(await contents()).toMatchObject({
      ...{ containers: names, networks: names, volumes: names }
    })
  }

  await stepAfter(0, inputs)
  await expectNames(['ci-1', 'job', 'pgdata-main'])
  const second = await stepAfter(2 * day, inputs)
  await expectNames(['job', 'pgdata-main'])
  const third = await stepAfter(8 * day, inputs)
  await expectNames(['pgdata-main'])

  const of = ({ report }: Step, name: string) =>
    report?.resources.filter((one) => one.name === name)
  expect(of(second, 'ci-1')).toMatchObject(
    [2, 4, 6].map((rule) => ({ outcome: 'removed', rule }))
  )
  for (const one of of(third, 'job') ?? []) expect(one.rule).toBeUndefined()
  expect(of(third, 'pgdata-main')).toMatchObject(
    [1, 3, 5].map((rule) => ({ action: 'keep', reason: 'rule', rule }))
  )
})

test('with `** keep` as the last line, the other rules are an include list for images', async () => {
  await load([
    ...imagesOf('acme/web', ...numbered('v', 5)),
    ...imagesOf('acme/team/api', ...numbered('v', 4)),
    ...imagesOf('other', ...numbered('v', 5))
  ])
  const dangling = await build('FROM busybox:1\nLABEL dangling=1\n')
  await create('done', 'busybox:1', 'true')
  const before = await contents()
  const gone = ['acme/team/api:v-1', 'acme/web:v-1', 'acme/web:v-2']

  const done = await step({
    ...{ ...everything, 'protected-images': '' },
    rules: 'acme/** until=0s keep-last=3\n** keep'
  })

  expect(done.exitCode).toBe(0)
  const after = await contents()
  expect(after.references).toEqual(without(before.references, ...gone))
  expect(after.images).toContain(dangling)
  // Other kinds follow the inputs.
  expect(after.containers).toEqual([])
  for (const name of [dangling, 'busybox:1', 'other:v-1'])
    expect(resource(done, name)).toMatchObject({ reason: 'rule', rule: 2 })
})

test('a dry run shows what each rule would do, and rules without effect are warned of before any removal', async () => {
  await load([
    ...imagesOf('acme/web', ['dev-1'], ['dev-2'], ['prod-1']),
    ...imagesOf('tool', ['1'])
  ])
  await docker('volume', 'create', 'pgdta')
  const inputs = {
    ...everything,
    rules: `acme/wbe:dev-*  keep
      **:dev-*         keep-last=1
      acme/web:dev-1   keep
      **:prod-*        keep
      volume pgdata*   keep`
  }
  const warnings = (fate: string) => [
    `::warning::rules: line 1 (acme/wbe:dev-*) matches nothing on this engine. Did you mean acme/web:dev-1, which ${fate}?`,
    '::warning::rules: line 3 (acme/web:dev-1) decides nothing: everything that it matches is decided by line 2.',
    '::warning::rules: line 5 (volume pgdata*) matches nothing on this engine. Did you mean pgdta?'
  ]
  const warningsOf = ({ stdout }: Step) => stdout.match(/^::warning::.*$/gm)
  const before = await contents()

  const plan = await step({ ...inputs, 'dry-run': 'true' })

  expect(await contents()).toEqual(before)
  expect(warningsOf(plan)).toEqual(warnings('would be removed'))
  // No rule: busybox, tool, the volume, and the networks `host` and `none`.
  expect(summaryOf(plan)).toContain(`### Rules

| line | rule | decides | would go | would stay | would free |
| ---: | :--- | ---: | ---: | ---: | ---: |
| 1 | \`acme/wbe:dev-* keep\` | 0 | 0 | 0 | 0 B |
| 2 | \`**:dev-* keep-last=1\` | 2 | 1 | 1 | 1 kB |
| 3 | \`acme/web:dev-1 keep\` | 0 | 0 | 0 | 0 B |
| 4 | \`**:prod-* keep\` | 1 | 0 | 1 | 0 B |
| 5 | \`volume pgdata* keep\` | 0 | 0 | 0 | 0 B |
|  | no rule: the other inputs decide | 5 |  |  |  |`)

  const done = await step(inputs)

  expect(warningsOf(done)).toEqual(warnings('is about to be removed'))
  const [early = '', late = ''] = done.stdout.split('::group::Remove')
  expect(early).toContain('acme/wbe:dev-*) matches nothing')
  expect(late).toContain('removed image acme/web:dev-1')
  expect(figuresOf(done)).toEqual(figuresOf(plan))
  expect((await contents()).references).toEqual(
    without(before.references, 'acme/web:dev-1', 'tool:1')
  )
})

test('for rules that cannot be read, one error names every bad line, and docker is not called', async () => {
  const watched = await dockerThat('mark called')
  const wasCalled = () => exists(join(folder(), 'called'))
  const rules = `app:*  kep
    # a comment
    **  until=soon until=1d
    a/*:x
    volume
    <none>  keep keep-last=1
    app:**:x  keep
    b  keep
    b  until=1d`

  const done = await step({ ...everything, docker: watched, rules })

  expectCleanFailure(done, /Nothing was inspected or removed/)
  const [error = '', ...more] = done.stdout.match(/^::error::.*$/gm) ?? []
  expect(more).toEqual([])
  expect(
    error.split('%0A').map((line) => /^rules: line \d+/.exec(line)?.[0])
  ).toEqual([
    undefined,
    ...[1, 3, 4, 5, 6, 7, 9].map((line) => `rules: line ${line}`)
  ])
  expect(error).toContain('unknown word "kep", expected keep, until=')
  expect(error).toContain('line 8 has the same pattern')
  expect(await wasCalled()).toBe(false)
  const good = { ...everything, 'dry-run': 'true', rules: 'b  keep' }
  await step({ ...good, docker: watched })
  expect(await wasCalled()).toBe(true)
})

test('an image first seen ten days ago goes under a rule of seven days, and stays under one of thirty', async () => {
  const inputs = {
    ...{ ...everything, until: '365d' },
    rules: 'short  until=7d\nlong  until=30d'
  }
  await stepAfter(0, inputs)
  await load([oldImage('short'), oldImage('long'), oldImage('other')])
  await overflowLog()
  const seen = await stepAfter(0, inputs)
  expect(resource(seen, 'short:1')).toMatchObject({ reason: 'recent', rule: 1 })

  const done = await stepAfter(10 * day, inputs)

  expect(resource(done, 'short:1')).toMatchObject({
    ...{ outcome: 'removed', rule: 1 },
    detail: 'first seen 10 days ago; rule 1 `short`: until 7d'
  })
  expect(resource(done, 'long:1')).toMatchObject({
    ...{ action: 'keep', reason: 'recent', heldBy: 'rules' },
    detail: 'first seen 10 days ago; rule 2 `long`: until 30d'
  })
  expect(resource(done, 'other:1')).toMatchObject({
    ...{ reason: 'recent', heldBy: 'until' }
  })
  expect((await contents()).references).toEqual([
    ...['busybox:1', 'long:1', 'other:1']
  ])
})

/** The inputs of the README's step whose rules contain a text. */
async function recipeWith(text: string): Promise<Record<string, string>> {
  const file = join(import.meta.dirname, '../../../README.md')
  const blocks = (await readFile(file, 'utf8')).matchAll(/```yaml\n([^]*?)```/g)
  const found = [...blocks]
    .flatMap(([, block = '']) => inputsIn(block))
    .filter(({ rules = '' }) => rules.includes(text))
  const [recipe] = found
  if (recipe === undefined || found.length > 1)
    throw new Error(`${found.length} steps of the README contain ${text}`)
  return recipe
}

test('the recipe of the README keeps images by stage', async () => {
  const recipe = await recipeWith('**:prod-*')
  const stages = imagesOf(
    'acme/shop',
    ...numbered('prod', 11),
    ['prod-12', 'dev-0'],
    ...numbered('staging', 4),
    ...numbered('dev', 2)
  )
  const base = ['22', 'dev-1', 'prod-1', 'staging-1']
  await load([
    ...stages,
    ...imagesOf('ghcr.io/acme/base/node', ...base.map((tag) => [tag]))
  ])
  const dangling = await build('FROM busybox:1\nLABEL dangling=1\n')
  await docker('volume', 'create', 'pgdata-main')
  await docker('volume', 'create', 'cache')
  const all = ({ images, references, volumes }: Contents) => [
    ...[...references, ...volumes],
    ...images.filter((id) => id === dangling)
  ]
  let left = all(await contents())

  const shop = (...tags: string[]) => tags.map((tag) => `acme/shop:${tag}`)
  const goneAfter: [seconds: number, gone: string[]][] = [
    [0, []],
    [2 * hour, [dangling]],
    // No rule: the inputs let it go after 24 hours.
    [6 * day, ['cache']],
    [8 * day, shop('dev-0', 'dev-1', 'dev-2')],
    [29 * day, []],
    // The newest three stay by the default of keep-last.
    [31 * day, shop('staging-1')],
    [89 * day, []],
    [91 * day, shop('prod-1', 'prod-2')],
    [999 * day, []]
  ]
  for (const [seconds, gone] of goneAfter) {
    const { exitCode } = await stepAfter(seconds, recipe)

    left = without(left, ...gone)
    const days = seconds / day
    const now = all(await contents())
    expect({ days, exitCode, left: now }).toEqual({ days, exitCode: 0, left })
  }
})
