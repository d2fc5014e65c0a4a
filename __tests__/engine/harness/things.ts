import { setTimeout as sleep } from 'node:timers/promises'
import type { Cli, ImageFixture } from '../../../scripts/fixtures/fixtures.ts'
import { imageId } from '../../../src/docker/podman.ts'

/** Inputs that remove all containers, images and networks, whatever their age. */
export const everything = {
  'keep-last': '0',
  until: '0s',
  'protected-images': 'busybox',
  'include-build-cache': 'false'
}

/** An image dated 2024, with a unique layer. */
export function oldImage(name: string, bytes = 1_000): ImageFixture {
  return {
    references: [`${name}:1`],
    created: '2024-05-01T12:00:00Z',
    layers: [{ name, bytes }]
  }
}

export const oldImages = (count: number): ImageFixture[] =>
  Array.from({ length: count }, (_, index) => oldImage(`app-${index}`))

/** Images with the dates seen in practice: those of reproducible builds, an old one, and none. */
export const imagesOfAnyDate: readonly ImageFixture[] = Object.entries({
  epoch: '1970-01-01T00:00:00Z',
  dos: '1980-01-01T00:00:00Z',
  old: '2024-05-01T12:00:00Z',
  none: ''
}).map(([name, created]) => ({ ...oldImage(name), created }))

/** A container command that stops at once on SIGTERM. */
export const polite = [
  'sh',
  '-c',
  'trap "exit 0" TERM; while true; do sleep 0.1; done'
]

/** Resolves a reference to an image ID. */
export const idOf = (docker: Cli, reference: string): Promise<string> =>
  docker('image', 'inspect', '--format', '{{.Id}}', reference).then(imageId)

/** Returns the ID of an image's parent. */
export async function parentOf(docker: Cli, image: string): Promise<string> {
  const json = await docker('image', 'inspect', image)
  const [{ Parent }] = JSON.parse(json) as [{ Parent: string }]
  return imageId(Parent)
}

/** Returns a time for `until` that separates earlier events from later ones. */
export async function momentBetween(): Promise<string> {
  await sleep(20)
  const moment = new Date().toISOString()
  await sleep(20)
  return moment
}
