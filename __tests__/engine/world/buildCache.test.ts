import { expect } from '@jest/globals'
import { useEngine } from '../harness/engine.ts'
import { onlyOnDocker } from '../harness/target.ts'
import { everything } from '../harness/things.ts'

const { build, step, dockerThat } = useEngine()
const test = onlyOnDocker('build cache')

test('a run cancelled while it lists the remaining cache reports what it removed', async () => {
  await build('FROM busybox:1\nRUN echo >/built\n', {
    tag: 'built:1',
    buildKit: true
  })
  const done = await step({
    ...everything,
    'include-build-cache': 'true',
    docker: await dockerThat(
      'case "$1 $2" in "buildx du") [ "$(count du)" = 2 ] && { kill -INT $PPID; sleep 20; } ;; esac'
    )
  })
  expect(done.exitCode).toBe(1)
  expect(done.outputs['removed-images']).toBe('1')
  expect(done.summary).toContain('The run was cancelled')
})
