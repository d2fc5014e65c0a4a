import { expect, test } from '@jest/globals'
import type { Step } from '../../../scripts/engines/step.ts'
import { useEngine } from '../harness/engine.ts'
import { useRegistry } from '../harness/registry.ts'
import { familiar } from '../harness/report.ts'
import { podman } from '../harness/target.ts'
import { everything, oldImage } from '../harness/things.ts'

const engine = useEngine()
const { docker, build, step, contents } = engine
const { publish, pull } = useRegistry(engine)

/**
 * Every image by its tags, or by its digests if it has no tags, with its outcome, its rule and the tags that it loses.
 * The containerd store lists fewer digests next to tags.
 */
function fates({ report }: Step, short: (reference: string) => string) {
  const images = report?.resources.filter(({ kind }) => kind === 'image')
  const entries = images?.map(
    ({ references = [], outcome, rule, removedReferences = [] }) => {
      const names = references.map(short).sort()
      const tags = names.filter((name) => !name.endsWith('@'))
      const lost = removedReferences
        .map(short)
        .filter((one) => tags.includes(one))
      return [
        (tags.length > 0 ? tags : names).join(' '),
        `${outcome} by ${rule}${lost.length > 0 ? `: ${lost.join(' ')}` : ''}`
      ] as const
    }
  )
  return Object.fromEntries(entries ?? [])
}

/** Pulls images by tag, by digest and by both, and tags some of them again. Returns how to find what was published. */
async function fill() {
  const published = await publish([
    { ...oldImage('both'), references: ['app:dev-1', 'app:prod-1'] },
    { ...oldImage('dev'), references: ['app:dev-2'] },
    { ...oldImage('copied'), references: ['app:dev-3'] },
    { ...oldImage('twice'), references: ['app:dev-4'] },
    ...['exact', 'loose', 'named', 'parted'].map((name) => oldImage(name))
  ])
  const find = (name: string) => {
    const found = published.find(({ tag }) => tag.endsWith(`/${name}`))
    if (found === undefined) throw new Error(`${name} is not published`)
    return found
  }
  const tags = ['dev-1', 'prod-1', 'dev-2', 'dev-3', 'dev-4']
  await pull(tags.map((tag) => find(`app:${tag}`).tag))
  const alone = ['exact:1', 'loose:1', 'named:1', 'parted:1', 'app:dev-4']
  await pull(alone.map((name) => find(name).pinned))
  await docker('tag', find('app:dev-3').tag, 'local:1')
  await docker('tag', find('parted:1').pinned, 'other:dev-1')
  await build('FROM busybox:1\nLABEL dangling=1\n')
  return find
}

test('rules decide tag by tag on every image store, with digests next to the tags or alone', async () => {
  const find = await fill()
  const registry = find('app:dev-1').tag.replace('app:dev-1', '')
  const short = (reference: string) =>
    familiar(reference)
      .replace(registry, 'R/')
      .replace(/@sha256:.*/, '@')
  const inputs = {
    ...{ ...everything, 'protected-images': '' },
    rules: [
      '<none>  keep',
      `${registry}named  keep`,
      `${registry}parted:*  keep`,
      `${find('exact:1').pinned}  keep`,
      '**:dev-*  until=0s',
      `${registry}loose  until=0s`,
      '**  keep'
    ].join('\n')
  }

  const plan = await step({ ...inputs, 'dry-run': 'true' })
  expect(fates(plan, short)).toEqual({
    '': 'kept by 1',
    'R/app:dev-1 R/app:prod-1': 'planned by 5: R/app:dev-1',
    'R/app:dev-2': 'planned by 5',
    'R/app:dev-3 local:1': 'planned by 5: R/app:dev-3',
    'R/app:dev-4': 'planned by 5',
    'R/exact@': 'kept by 4',
    'R/loose@': 'planned by 6',
    'R/named@': 'kept by 2',
    'busybox:1': 'kept by 7',
    // It stays by its digest.
    'other:dev-1': 'planned by 5: other:dev-1'
  })
  expect(plan.report?.rules?.map(({ matched }) => matched)).toEqual([
    ...[1, 1, 1, 1, 5, 1, 3]
  ])

  const done = await step(inputs)

  // On Podman, its digest is a second name, and the engine refuses to remove it by ID.
  const unremovable = podman ? ['R/app:dev-4'] : []
  expect(done).toMatchObject({ exitCode: 0, outputs: { failed: '0' } })
  const left = await contents()
  expect(left.references.map(short)).toEqual([
    ...unremovable,
    ...['R/app:prod-1', 'busybox:1', 'local:1']
  ])
  expect(left.images).toHaveLength(7 + unremovable.length)
  for (const name of ['exact:1', 'named:1', 'parted:1'])
    await docker('image', 'inspect', find(name).pinned)
  await docker('image', 'inspect', find('app:prod-1').pinned)
  // Podman 4 finds any image with that digest, whatever its repository.
  const gone = podman ? [] : ['app:dev-2', 'app:dev-3', 'loose:1']
  for (const name of gone)
    await expect(docker('image', 'inspect', find(name).pinned)).rejects.toThrow(
      /no such/i
    )
})
