import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { expectCleanFailure, resource } from '../harness/report.ts'
import { everything, idOf, oldImage } from '../harness/things.ts'

const { docker, load, step, contents } = useEngine()

test('globs in any case and IDs protect images; an unmatched pattern is reported before any removal', async () => {
  await load(
    ['ghcr.io/acme/web', 'byid', 'byshort', 'ghcr.io/acme/api'].map((name) =>
      oldImage(name)
    )
  )
  const ids = await Promise.all(
    ['byid:1', 'byshort:1'].map((name) => idOf(docker, name))
  )
  const [id = '', other = ''] = ids
  const short = other.replace('sha256:', '').slice(0, 12)
  const patterns = ['busybox', 'ghcr.io/Acme/Web:*', id, short, 'acme/apis:*']

  const done = await step({
    ...everything,
    'protected-images': patterns.join('\n')
  })

  for (const name of ['ghcr.io/acme/web:1', 'byid:1', 'byshort:1'])
    expect(resource(done, name).reason).toBe('protected-image')
  const warning =
    /::warning::protected-images: acme\/apis:\* matches nothing on this engine\. Did you mean ghcr\.io\/acme\/api:1, which is about to be removed\?/
  expect(done.stdout).toMatch(warning)
  expect(done.stdout.search(warning)).toBeLessThan(
    done.stdout.search(/^removed image/m)
  )
  expect(done.summary).toContain('acme/apis')
})

test('patterns that can never match are rejected, each with its problem', async () => {
  await load([oldImage('app')])
  const before = await contents()

  const done = await step({
    ...everything,
    'protected-images': 'redis:.*, redis:latest:latest',
    'protected-labels': '"keep", team = web',
    'pull-request-patterns': '.pr-{number}'
  })

  expectCleanFailure(done, /redis:latest:latest.*two colons/)
  for (const pattern of ['redis:.*', 'keep', 'team = web', '.pr-{number}'])
    expect(done.stdout).toContain(pattern)
  expect(await contents()).toEqual(before)
})
