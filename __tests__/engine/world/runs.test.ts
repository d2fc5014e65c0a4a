import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { everything, oldImages } from '../harness/things.ts'

const { load, step, contents } = useEngine()

test('three runs at once do no harm, and none of them fails', async () => {
  // Two tags go one by one, each with a look of its own; one tag goes with its image, in a batch.
  await load(
    oldImages(48).map((image, index) => ({
      ...image,
      references: [`many:${index}`, ...(index < 16 ? [`more:${index}`] : [])]
    }))
  )

  const runs = await Promise.all(
    [everything, everything, everything].map((inputs) => step(inputs))
  )

  expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0])
  expect((await contents()).references).toEqual(['busybox:1'])
})
