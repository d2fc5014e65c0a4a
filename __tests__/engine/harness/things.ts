import { setTimeout as sleep } from 'node:timers/promises'
import type { Cli, ImageFixture } from '../../../scripts/fixtures/fixtures.ts'
import { imageId } from '../../../src/docker/podman.ts'

/** Inputs that take everything but the cache, whatever its age. */
export const everything = {
  'keep-last': '0',
  until: '0s',
  'protected-images': 'busybox',
  'include-build-cache': 'false'
}

/** An image of 2024, with one layer of its own. */
export function oldImage(name: string, bytes = 1_000): ImageFixture {
  return {
    references: [`${name}:1`],
    created: '2024-05-01T12:00:00Z',
    layers: [{ name, bytes }]
  }
}

export const oldImages = (count: number): ImageFixture[] =>
  Array.from({ length: count }, (_, index) => oldImage(`app-${index}`))

/** Images with the dates that images really have: of reproducible builds, an old one, and none. */
export const imagesOfAnyDate: readonly ImageFixture[] = Object.entries({
  epoch: '1970-01-01T00:00:00Z',
  dos: '1980-01-01T00:00:00Z',
  old: '2024-05-01T12:00:00Z',
  none: ''
}).map(([name, created]) => ({ ...oldImage(name), created }))

/** A command of a container that ends as soon as it is told to. */
export const polite = [
  'sh',
  '-c',
  'trap "exit 0" TERM; while true; do sleep 0.1; done'
]

/** The ID that a reference means. */
export const idOf = (docker: Cli, reference: string): Promise<string> =>
  docker('image', 'inspect', '--format', '{{.Id}}', reference).then(imageId)

/** The ID of the image that an image was built on. */
export async function parentOf(docker: Cli, image: string): Promise<string> {
  const json = await docker('image', 'inspect', image)
  const [{ Parent }] = JSON.parse(json) as [{ Parent: string }]
  return imageId(Parent)
}

/** A moment for `until`: later than all that has happened, earlier than all that is yet to come. */
export async function momentBetween(): Promise<string> {
  await sleep(20)
  const moment = new Date().toISOString()
  await sleep(20)
  return moment
}
