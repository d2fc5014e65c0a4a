import { expect, test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { everything, oldImages } from '../harness/things.ts'

const { load, step, contents } = useEngine()

test('three parallel runs do no harm, and none fails', async () => {
  // Images with two tags are untagged one by one, each after a check; images with one tag are removed in batches.
  await load(
    oldImages(24).map((image, index) => ({
      ...image,
      references: [`many:${index}`, ...(index < 8 ? [`more:${index}`] : [])]
    }))
  )

  const runs = await Promise.all(
    [everything, everything, everything].map((inputs) => step(inputs))
  )

  expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0])
  expect((await contents()).references).toEqual(['busybox:1'])
})
