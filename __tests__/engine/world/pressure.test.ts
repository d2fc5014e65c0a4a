import { expect, test } from '@jest/globals'
import { seeingDiskOf, useOwnEngine } from '../harness/engine.ts'
import { outcomes } from '../harness/report.ts'

const tests = useOwnEngine({ dataSize: '300m' })
const { docker, engine, load, contents } = tests

const step = (inputs: Record<string, string>) =>
  tests.step(
    {
      ...{ 'keep-last': '0', until: '0s', 'state-dir': '' },
      ...{ 'when-free-below': '50%', 'until-free-above': '60%' },
      ...inputs
    },
    { DOCKER_HOST: engine().host, PATH: process.env['PATH'] },
    { above: seeingDiskOf(engine()) }
  )

/** Images on one base, of which the first was built longest ago. */
const images = (count: number, bytes: number) =>
  Array.from({ length: count }, (_, index) => ({
    references: [`app:${index}`],
    created: new Date(Date.UTC(2024, 0, 1, index)).toISOString(),
    layers: [
      { name: 'base', bytes: 10_000_000 },
      { name: `own-${index}`, bytes }
    ]
  }))

test('the removal ends once enough is free, longest idle first', async () => {
  const all = images(40, 4_000_000)
  for (let from = 0; from < all.length; from += 10)
    await load(all.slice(from, from + 10))
  const done = await step({ docker: tests.engine().docker })
  console.log(done.stdout, done.outputs, done.milliseconds)
  expect(done.exitCode).toBe(0)
  console.log(outcomes(done), await contents())
  const again = await step({ docker: tests.engine().docker })
  console.log(again.stdout, again.outputs, again.milliseconds)
  await docker('info')
})
