import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { resource } from '../harness/report.ts'
import { onlyOnDocker } from '../harness/target.ts'
import { everything, oldImage } from '../harness/things.ts'

// Some tools write whole documents into labels.

const { api, load, step, contents } = useEngine()

const document = 'x'.repeat(200_000)

test('calls with too much output are split in halves, and labels still protect', async () => {
  const names = Array.from({ length: 16 }, (_, index) => `app-${index}`)
  await load(
    names.map((name, index) => ({
      ...oldImage(name),
      labels: { metadata: index === 7 ? `kept${document}` : document }
    }))
  )

  const done = await step({
    ...everything,
    'protected-labels': 'metadata=kept*'
  })

  expect(done.exitCode).toBe(0)
  expect(resource(done, 'app-7:1').reason).toBe('protected-label')
  expect((await contents()).references).toEqual(['app-7:1', 'busybox:1'])
  expect(done.summary.length).toBeLessThan(100_000)
})

onlyOnDocker('event log limit')(
  'an event log full of events with a large label is read',
  async () => {
    await api().post('/containers/create?name=name-0', {
      ...{ Image: 'busybox:1', Cmd: ['true'] },
      Labels: { metadata: 'x'.repeat(480_000) },
      HostConfig: { NetworkMode: 'none' }
    })
    // Each event repeats the label.
    for (let count = 0; count < 250; count += 1)
      await api().post(
        `/containers/name-${count}/rename?name=name-${count + 1}`
      )
    await load([oldImage('app')])

    const done = await step({ ...everything, until: '1h' })

    expect(done.exitCode).toBe(0)
    expect(resource(done, 'app:1').detail).toMatch(
      /^(?:loaded|tagged) \d+ s ago/
    )
  }
)
