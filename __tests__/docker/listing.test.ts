import { expect, test } from '@jest/globals'
import type { Docker } from '../../src/docker/cli.ts'
import type { Output } from '../../src/docker/errors.ts'
import { printListing } from '../../src/docker/listing.ts'

const failing = (stderr: string): Output => ({
  exitCode: 1,
  stdout: '',
  stderr: `Error response from daemon: ${stderr}`
})

// Messages of Docker 28.5 with the containerd store, and of Podman 4.3.
test.each([
  'NotFound: content digest sha256:abc: not found',
  'failed to read config content: rpc error: code = NotFound desc = content digest sha256:abc: not found',
  'consistency error: data changed during operation, retry',
  'checking if image "abc" is dangling: reading image "abc": locating image with ID "abc": image not known',
  'read /proc/28070/cgroup: no such process'
])('a listing is retried after: %s', async (message) => {
  const outputs = [failing(message), { exitCode: 0, stdout: 'i', stderr: '' }]
  const docker: Docker = () => Promise.resolve(outputs.shift() as Output)
  expect(await printListing(docker, ['image', 'ls'])).toBe('i')
})

test('any other error is reported at once', async () => {
  const outputs = [failing('no space left on device')]
  const docker: Docker = () => Promise.resolve(outputs.shift() as Output)
  await expect(printListing(docker, ['image', 'ls'])).rejects.toThrow(
    'no space left'
  )
})
