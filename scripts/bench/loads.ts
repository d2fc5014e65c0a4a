import pLimit from 'p-limit'
import type { ThrowawayEngine } from '../engines/engine.ts'
import {
  createCli,
  loadImages,
  type ImageFixture
} from '../fixtures/fixtures.ts'

/** Content of an engine. */
export type Load = {
  images: ImageFixture[]
  /** References of images that get a container, which never runs. */
  containers: string[]
  volumes: number
  /** References of the images that must remain. */
  staying: string[]
}

const day = 86_400_000
const second = 1_000

/**
 * Makes repositories of about 24 images, two of which stay, and some repositories of one. Containers use the images that
 * stay, so a prune removes exactly the others: 1,000 of 1,100.
 */
export function sweepLoad(number: number): Load {
  const repositories = Math.max(Math.round(number / 20), 3)
  const alone = Math.round((repositories * 10) / 55)
  const counts = [
    ...spread(number - alone, repositories - alone),
    ...spread(alone, alone)
  ]
  return heldLoad(counts, 2)
}

/** Makes 60 images. The three newest of each repository stay, which is all but five. */
export function smallLoad(): Load {
  return heldLoad([...spread(20, 5), ...spread(39, 13), 1], 3)
}

/** Makes images, containers and volumes too young to be removed. */
export function idleLoad(scale: number): Load {
  const images = imagesOf(spread(scaled(1_000, scale), 55), Date.now())
  const names = images.flatMap(({ references }) => references)
  return {
    images,
    containers: names.slice(0, scaled(200, scale)),
    volumes: scaled(100, scale),
    staying: names
  }
}

export function scaled(number: number, scale: number): number {
  return Math.max(Math.round(number * scale), 1)
}

function heldLoad(counts: readonly number[], keepLast: number): Load {
  const images = imagesOf(counts, Date.now() - 2 * day)
  const staying = counts.flatMap((count, repository) =>
    Array.from({ length: Math.min(count, keepLast) }, (_, index) =>
      referenceOf(repository, count - 1 - index)
    )
  )
  return { images, containers: staying, volumes: 0, staying }
}

/** Divides a number into almost equal whole shares. */
function spread(number: number, shares: number): number[] {
  return Array.from({ length: shares }, (_, index) =>
    Math.floor((number + index) / shares)
  )
}

/** Makes builds of applications, with one shared and one unique layer; `counts` has the builds of each. */
function imagesOf(counts: readonly number[], start: number): ImageFixture[] {
  return counts.flatMap((count, repository) =>
    Array.from({ length: count }, (_, build) => ({
      references: [referenceOf(repository, build)],
      created: new Date(
        start + (build * counts.length + repository) * second
      ).toISOString(),
      labels: { build: `${repository}-${build}` },
      layers: [
        { name: `base-${repository}`, bytes: 1_000 },
        { name: `build-${repository}-${build}`, bytes: 100 }
      ]
    }))
  )
}

function referenceOf(repository: number, build: number): string {
  return `app-${repository}:build-${build}`
}

const imagesPerArchive = 100

export async function fill(
  engine: ThrowawayEngine,
  { images, containers, volumes }: Load
): Promise<void> {
  for (let index = 0; index < images.length; index += imagesPerArchive)
    await loadImages(engine, images.slice(index, index + imagesPerArchive))
  const docker = createCli(engine)
  const queue = pLimit(4)
  await queue.map(containers, (reference) => docker('create', reference, 'run'))
  await queue.map([...Array(volumes).keys()], (index) =>
    docker('volume', 'create', `volume-${index}`)
  )
}
