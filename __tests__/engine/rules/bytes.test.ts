import { test } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { createMeasure, expectExact } from '../harness/figures.ts'
import { everything, oldImage } from '../harness/things.ts'

// Tests that depend on the image store are in contract/bytes.test.ts.

const tests = useEngine()
const { load, build } = tests
const measure = createMeasure(tests)

test('chains of dangling images', async () => {
  for (const name of ['a', 'b'])
    await build(
      [
        'FROM busybox:1',
        ...[1, 2, 3].map(
          (n) => `RUN dd if=/dev/urandom of=/${name}${n} bs=1000000 count=${n}`
        )
      ].join('\n')
    )
  expectExact(await measure({ ...everything, 'include-images': 'dangling' }))
})

test('one large image', async () => {
  await build(
    'FROM busybox:1\nRUN dd if=/dev/zero of=/big bs=1000000 count=200\n',
    { tag: 'big:1' }
  )
  expectExact(await measure(everything))
})

test('many small images', async () => {
  await load(
    Array.from({ length: 60 }, (_, index) =>
      oldImage(`app-${index}`, 1_000_000)
    )
  )
  expectExact(await measure(everything))
})
