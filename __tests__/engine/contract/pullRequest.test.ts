import { expect, test } from '@jest/globals'
import { without } from '../harness/contents.ts'
import { useEngine } from '../harness/engine.ts'
import { createPullRequests } from '../harness/pullRequests.ts'
import { resource } from '../harness/report.ts'
import { podman } from '../harness/target.ts'

const tests = useEngine()
const { contents, states } = tests
const { close, preview } = createPullRequests(tests)

test('containers of a closed pull request are stopped and removed, with their image, network and volume', async () => {
  await preview('acme/web', 1)
  await preview('acme/web', 12)
  const before = { ...(await contents()), states: await states() }

  const done = await close('acme/web', 1, { 'include-volumes': 'all' })

  expect(done.exitCode).toBe(0)
  expect(done.outputs['failed']).toBe('0')
  const own = 'acme-web-pr-1'
  const image = resource(done, 'acme/web:pr-1')
  expect({ ...(await contents()), states: await states() }).toEqual({
    containers: without(before.containers, `${own}-app`, `${own}-job`),
    states: without(before.states, `${own}-app running`, `${own}-job exited`),
    images: without(before.images, image.id),
    references: without(before.references, 'acme/web:pr-1'),
    networks: without(before.networks, own),
    // Named volumes are kept on Podman.
    volumes: podman ? before.volumes : without(before.volumes, own)
  })
  for (const one of [image, resource(done, `${own}-app`)])
    expect(one).toMatchObject({ outcome: 'removed', reason: 'pull-request' })
})
