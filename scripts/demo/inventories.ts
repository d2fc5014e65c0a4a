import { createHash } from 'node:crypto'
import {
  cacheRecord,
  container,
  day,
  hour,
  image,
  inventory,
  network,
  now,
  volume
} from '../../__tests__/builders.ts'
import { hostileTexts } from '../../__tests__/hostile.ts'
import type { Container, Image, Inventory } from '../../src/model/inventory.ts'
import type { Sizes } from '../../src/model/plan.ts'

const megabyte = 1_000_000

/** A made-up engine and the sizes it reports. */
export type Engine = { inventory: Inventory; sizes: Sizes }

/** A runner after a week of builds. */
export function busyRunner(): Engine {
  const dangling = Array.from({ length: 9 }, (_, index) =>
    image(digestOf(`dangling ${index}`), {
      createdAt: now - (index + 2) * day,
      bytes: (60 + index * 12) * megabyte,
      layers: [`dangling ${index}`]
    })
  )
  const built = applications()
  const images = [
    ...built.map(({ image }) => image),
    ...[postgres, cacheServer],
    ...dangling
  ]
  return {
    inventory: inventory({
      images,
      containers: containersOf(dangling),
      networks: [
        ...['ci-4000_default', 'ci-4003_default', 'preview'].map((name) =>
          network(name, { name, createdAt: now - 3 * day })
        ),
        network('bridge', { name: 'bridge' })
      ],
      volumes: [
        ...[1, 2, 3].map((index) =>
          volume(volumeName(index), {
            createdAt: now - index * 2 * day,
            labels: { 'com.docker.volume.anonymous': '' }
          })
        ),
        volume('database', { labels: { keep: '' } }),
        volume('models')
      ],
      buildCache: {
        records: Array.from({ length: 60 }, (_, index) =>
          cacheRecord({
            bytes: 31 * megabyte,
            idle: { least: index * hour, most: index * hour },
            shared: index % 4 === 0
          })
        )
      }
    }),
    sizes: { ...busySizes, layers: layersOf(built) }
  }
}

const postgres = image(digestOf('postgres'), {
  references: ['postgres:17'],
  createdAt: now - 40 * day,
  taggedAt: now - 12 * day,
  bytes: 438 * megabyte,
  layers: ['debian', 'postgres']
})
const cacheServer = image(digestOf('cache'), {
  references: ['ghcr.io/acme/cache-server:2'],
  taggedAt: now - 33 * day,
  bytes: 212 * megabyte,
  layers: ['alpine', 'cache server']
})

function applications(): Built[] {
  return [
    ...builds('ghcr.io/acme/web', {
      number: 14,
      each: 260 * megabyte,
      shared: 610 * megabyte,
      registry: true
    }),
    ...builds('ghcr.io/acme/api', {
      number: 11,
      each: 170 * megabyte,
      shared: 420 * megabyte,
      registry: true
    }),
    ...builds('acme/worker', {
      number: 8,
      each: 90 * megabyte,
      shared: 300 * megabyte
    }),
    ...builds('acme/training', {
      number: 5,
      each: 1_300 * megabyte,
      shared: 4_100 * megabyte,
      idle: 26 * day
    })
  ]
}

function containersOf(images: readonly Image[]): Container[] {
  return [
    ...Array.from({ length: 12 }, (_, index) =>
      container(`c${index}`, {
        name: `ci-${4_000 + index}-tests`,
        image: images[index % 4]?.id ?? '',
        finishedAt: now - (index + 26) * hour,
        createdAt: now - (index + 27) * hour
      })
    ),
    container('running', {
      name: 'cache-server',
      state: 'running',
      image: cacheServer.id,
      imageReference: 'ghcr.io/acme/cache-server:2'
    })
  ]
}

const busySizes = {
  containers: new Map(
    Array.from({ length: 12 }, (_, index) => [
      `c${index}`,
      (index + 1) * 3 * megabyte
    ])
  ),
  volumes: new Map([
    ...[1, 2, 3].map(
      (index) => [volumeName(index), index * 140 * megabyte] as const
    ),
    ['database', 870 * megabyte] as const,
    ['models', 3_200 * megabyte] as const
  ]),
  builders: new Map<string, number>(),
  logs: { bytes: new Map<string, number>(), unread: false }
}

/** A busy runner after a clean-up. */
export function quietRunner(): Engine {
  const { inventory, sizes } = busyRunner()
  return {
    inventory: {
      ...inventory,
      images: inventory.images.filter(
        ({ createdAt = 0, references }) =>
          references.length > 0 && createdAt > now - day
      ),
      containers: [],
      networks: inventory.networks.filter(({ name }) => name === 'bridge'),
      volumes: inventory.volumes.filter(({ name }) => name === 'database'),
      buildCache: { records: [] }
    },
    sizes
  }
}

/** An engine with about that many resources, mostly images. */
export function crowdedRunner(number: number): Engine {
  const { inventory, sizes } = busyRunner()
  const perRepository = 25
  const repositories = Math.ceil(number / perRepository)
  const built = Array.from({ length: repositories }, (_, index) =>
    builds(`registry.example.com:5000/team-${index % 40}/service-${index}`, {
      number: perRepository,
      each: (index % 40 === 7 ? 900 : 20 + index / 10) * megabyte,
      shared: 200 * megabyte,
      registry: true
    })
  ).flat()
  return {
    inventory: { ...inventory, images: built.map(({ image }) => image) },
    sizes: { ...sizes, layers: layersOf(built) }
  }
}

/** An engine whose names and labels try to break out of the summary. */
export function hostileEngine(): Engine {
  const volumes = new Map(hostileTexts.map((text) => [text, 90 * megabyte]))
  return {
    inventory: inventory({
      images: hostileTexts.map((text, index) =>
        image(digestOf(text), {
          references: [`${text}:1`],
          digests: [`${text}@sha256:0`],
          bytes: (100 + index) * megabyte,
          layers: [text],
          labels: index % 3 > 0 ? {} : { keep: text }
        })
      ),
      containers: hostileTexts.map((text) => container(text, { name: text })),
      networks: hostileTexts.map((text) => network(text, { name: text })),
      volumes: hostileTexts.map((text) => volume(text))
    }),
    sizes: { ...busySizes, volumes, layers: new Map() }
  }
}

type Built = { image: Image; layers: number[] }

/** Makes builds of one application, newest first, on a shared base. */
function builds(
  repository: string,
  {
    number,
    each,
    shared,
    idle = 0,
    registry = false
  }: {
    number: number
    each: number
    shared: number
    /** Of the newest, in milliseconds. */
    idle?: number
    registry?: boolean
  }
): Built[] {
  return Array.from({ length: number }, (_, index) => {
    const tag = `build-${1_200 - index}`
    const own = each * (1 + ((index * 7) % 5) / 10)
    const at = now - idle - index * 9 * hour
    const digests = registry
      ? [`${repository}@${digestOf(repository + tag)}`]
      : []
    const made = image(digestOf(`${repository} ${index}`), {
      references: [`${repository}:${tag}`, ...digests],
      digests,
      createdAt: at,
      taggedAt: at,
      bytes: shared + own,
      layers: [`${repository} base`, `${repository} ${index}`],
      pulled: registry
    })
    return { image: made, layers: [shared, own] }
  })
}

function layersOf(built: readonly Built[]): Map<string, number[]> {
  return new Map(built.map(({ image, layers }) => [image.id, layers]))
}

function volumeName(index: number): string {
  return digestOf(`volume ${index}`).slice('sha256:'.length)
}

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}
