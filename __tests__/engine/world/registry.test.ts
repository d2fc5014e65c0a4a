import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { useRegistry } from '../harness/registry.ts'
import { resource } from '../harness/report.ts'
import { everything, oldImage } from '../harness/things.ts'

const engine = useEngine()
const { docker, step, dockerThat } = engine
const { publish, pull } = useRegistry(engine)

test('an image that is pulled again to the same ID after the listing stays: the events tell', async () => {
  const published = await publish([oldImage('again'), oldImage('other')])
  const [again = '', other = ''] = published.map(({ pinned }) => pinned)
  await pull([again, other])
  // Before the second listing of the containers, which is the one right before the first batch. Podman's events come late.
  const command = await dockerThat(
    `case "$1 $2" in "container ls") [ "$(count calls)" = 2 ] && $docker pull --quiet ${again} >/dev/null && sleep 0.5 ;; esac`
  )

  const done = await step({ ...everything, docker: command })

  expect(done.exitCode).toBe(0)
  expect(resource(done, again)).toMatchObject({
    outcome: 'kept',
    reason: 'changed'
  })
  expect(resource(done, other).outcome).toBe('removed')
  await docker('image', 'inspect', again)
})
